"""What the species are called: from a label to the species, its scientific name, and its names in many languages."""
