"""The embedded nats-server: its files, its configuration, its process."""
