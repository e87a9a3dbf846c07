"""NEEDS A SENTENCE: catalogue."""
