"""A skeleton and skin weights for a mesh, without a trained model."""
