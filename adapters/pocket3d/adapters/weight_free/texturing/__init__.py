"""Textures a mesh by classical means: an unwrapped atlas, and materials that are functions of the position."""
