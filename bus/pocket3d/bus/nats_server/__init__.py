"""NEEDS A SENTENCE: nats_server."""
