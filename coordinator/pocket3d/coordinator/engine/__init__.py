"""The coordinator's engine: what becomes of each job, decided in pure code."""
