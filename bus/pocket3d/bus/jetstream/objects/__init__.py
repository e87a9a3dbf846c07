"""NEEDS A SENTENCE: objects."""
