"""UniRig (Zhang et al., SIGGRAPH 2025): a skeleton and skin weights for a mesh, by processes of its own checkout."""
