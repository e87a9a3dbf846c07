"""How messages, streams, files and services reach NATS: the port, its two implementations, and the client."""
