"""NEEDS A SENTENCE: up."""
