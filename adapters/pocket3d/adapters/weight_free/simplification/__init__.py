"""Makes a mesh of fewer triangles, as near to the old one as they allow."""
