"""From one photograph to a closed, textured mesh: foreground mask, Poisson inflation, texture. No weights.

Importing this package loads nothing; `adapter` is imported by the worker that runs it.
"""
