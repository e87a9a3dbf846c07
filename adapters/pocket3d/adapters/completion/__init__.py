"""Parts of a mesh, closed."""
