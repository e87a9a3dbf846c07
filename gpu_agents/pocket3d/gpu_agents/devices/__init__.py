"""NEEDS A SENTENCE: devices."""
