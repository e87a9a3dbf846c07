"""Adapters of Tencent's Hunyuan3D 2.0 and 2.1."""
