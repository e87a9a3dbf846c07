"""Makes a closed, textured mesh of one photograph by a foreground mask, Poisson inflation and a texture. No weights.

Importing this package loads nothing; `adapter` is imported by the worker that runs it.
"""
