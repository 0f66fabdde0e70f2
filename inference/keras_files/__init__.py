"""What Keras saved: checked, its description rewritten for this Keras, and loaded."""
