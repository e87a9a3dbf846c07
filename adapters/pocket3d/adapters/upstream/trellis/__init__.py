"""Adapters for TRELLIS (Xiang et al., "Structured 3D Latents for Scalable and Versatile 3D Generation", 2024).

Nothing of TRELLIS is in here: its code comes from a checkout (`trellis_root`) or an installed package, its weights from
a folder or the hub's cache.
"""
