"""What runs inside a worker process around an adapter."""
