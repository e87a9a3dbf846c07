"""Parts of a mesh by thickness and concave creases: classical methods, no weights.

Importing this package loads nothing; `adapter` is imported by the worker that runs it.
"""
