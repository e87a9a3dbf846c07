"""Stand-in: see README.md beside this package."""
