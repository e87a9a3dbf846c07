"""A photograph and words to a mesh."""
