"""The bus of production, on NATS JetStream: one connection, appends, consumers, reads and object stores."""

from .bus import JetStreamBus

__all__ = ["JetStreamBus"]
