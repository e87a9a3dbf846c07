"""NEEDS A SENTENCE: installer."""
