"""NEEDS A SENTENCE: leadership."""
