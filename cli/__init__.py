"""The commands of ``flask --app application``."""
