"""Meshes from one format into another, placed and sized as wanted."""
