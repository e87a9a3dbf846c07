"""NEEDS A SENTENCE: io."""
