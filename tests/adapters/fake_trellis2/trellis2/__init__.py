"""Stands for TRELLIS.2."""
