"""A whole system on one machine: its processes, kept running, and the demo."""
