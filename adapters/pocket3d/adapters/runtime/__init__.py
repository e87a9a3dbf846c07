"""NEEDS A SENTENCE: runtime."""
