"""NEEDS A SENTENCE: memory."""

from .bus import MemoryBus

__all__ = ['MemoryBus']
