"""The same port in memory, on a clock that is given: for tests and the simulation."""

from .bus import MemoryBus

__all__ = ["MemoryBus"]
