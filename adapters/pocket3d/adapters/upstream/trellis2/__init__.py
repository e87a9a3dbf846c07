"""Adapters for TRELLIS.2 (Xiang et al., "Native and Compact Structured Latents for 3D Generation", 2025).

Nothing of TRELLIS.2 is in here: its code comes from a checkout, its weights from a folder or the hub's cache.
"""
