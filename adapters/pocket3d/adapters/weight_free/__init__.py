"""Adapters without weights: geometry alone."""
