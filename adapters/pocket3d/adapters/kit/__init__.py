"""NEEDS A SENTENCE: kit."""
