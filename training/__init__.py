"""Your labelled photos in, the model pair out: ``python -m training DATA``."""
