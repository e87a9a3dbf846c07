"""Covers a surface anew with quadrilaterals or triangles of one size."""
