"""The adapter for SkinTokens (Zhang et al., "SkinTokens: A Learned Compact Representation for Unified Autoregressive
Rigging", 2026).

Nothing of SkinTokens is in here: its code comes from a checkout, and runs in a process of its own.
"""
