"""Your labelled photographs in, the model pair out: ``python -m training DATA``."""
