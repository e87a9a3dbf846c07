"""NEEDS A SENTENCE: jetstream."""

from .bus import JetStreamBus

__all__ = ['JetStreamBus']
