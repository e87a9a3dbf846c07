"""NEEDS A SENTENCE: embed."""
