"""Stands for hy3dgen."""
