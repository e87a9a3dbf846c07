"""Closes the parts of a mesh."""
