"""Mechanisms for authors of adapters: the options of a request, adapters without weights, the end of a mesh job."""
