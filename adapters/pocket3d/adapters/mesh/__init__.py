"""NEEDS A SENTENCE: mesh."""
