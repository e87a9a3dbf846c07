"""Which adapters there are: built-in ones, entry points, `models.yaml`, recipes."""
