"""NEEDS A SENTENCE: weight_free."""
