"""The adapter for TripoSplat (Yan et al., "Generative 3D Gaussians with Learned Density Control", 2026).

Nothing of TripoSplat is in here: its code comes from a checkout, its weights from a folder or the hub's cache.
"""
