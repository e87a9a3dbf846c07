"""A picture laid on a mesh."""
