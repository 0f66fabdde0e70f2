"""What visitors say about answers: corrections, and the photos that they agreed to have kept.

Nothing of this is imported unless ``BIRD_FEEDBACK`` is on.
"""
