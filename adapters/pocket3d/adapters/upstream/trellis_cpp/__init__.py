"""TRELLIS.2 and Pixal3D by trellis.cpp's `trellis-server`: no Python, no compiled torch extensions."""
