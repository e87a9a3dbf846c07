"""Meshes and images: reading, writing, repairing, drawing."""
