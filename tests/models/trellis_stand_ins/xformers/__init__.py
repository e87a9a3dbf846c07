"""Stand-in: see README.md beside this package."""

from . import ops as ops
