"""Projects a picture onto a mesh."""
