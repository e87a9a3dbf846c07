"""Adapters: bridges between models and the system. Base classes, registry, `models.yaml`, the worker process."""
