"""NEEDS A SENTENCE: placement."""
