"""NEEDS A SENTENCE: auction."""
