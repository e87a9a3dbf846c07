"""Environments of upstream models, made from their recipes."""
