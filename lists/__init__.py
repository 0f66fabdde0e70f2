"""Answers as files for other programs: lists of sightings, and keywords beside photos."""
