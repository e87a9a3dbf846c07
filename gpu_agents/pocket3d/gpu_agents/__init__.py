"""The agent: measures its devices, bids for jobs, and runs adapters in worker processes of their own."""
