"""Gives a mesh texture coordinates, and moves its texture to them."""
