"""Upstream has its networks here; the stand-in needs none."""
