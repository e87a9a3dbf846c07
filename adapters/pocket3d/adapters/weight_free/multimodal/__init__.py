"""Makes a mesh of a photograph, of words, or of both."""
