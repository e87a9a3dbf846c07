"""NEEDS A SENTENCE: engine."""
