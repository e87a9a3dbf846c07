"""Converts meshes from one format to another, placed and sized as wanted."""
