"""The agent's engine: runs, workers and reports, decided in pure code."""
