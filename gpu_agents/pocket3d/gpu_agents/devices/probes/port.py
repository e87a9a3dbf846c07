"""What a probe answers. Probes are synchronous and may block: call them in a thread, one read at a time."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

_NOBODY: Mapping[int, int] = MappingProxyType({})


class Reading(NamedTuple):
    """One device's memory at one moment, in MB."""

    #: 0 while the device is unavailable.
    free_mb: int
    #: Memory per process id, as this process counts them; None where nobody can tell, as in a container, where the
    #: driver shows the machine's ids, or memory of 0. A process that is missing here is unknown, not empty.
    used_by_pid: dict[int, int] | None = None
    #: Why the device cannot be used now (it fell off the bus, the driver is gone); None when it can.
    unavailable: str | None = None
    #: What the driver says is broken about a device that still answers (an Xid that is no program's fault, uncorrected
    #: ECC errors, rows that wait for a reset or cannot be remapped): a sentence each, the same words for as long as it
    #: lasts. Empty where nothing is, or nobody can tell.
    faults: tuple[str, ...] = ()
    #: The parent of each of these processes, and of that parent, and so on: a worker's children count as the worker.
    parents: Mapping[int, int] = _NOBODY


class Probe(Protocol):
    """Measures some devices."""

    def read(self) -> dict[str, Reading]:
        """A reading for each device of this probe, by device id. Never raises for a device's trouble: that is the
        reading's `unavailable`.
        """
        ...

    def close(self) -> None:
        """Let go of the driver. Further reads are not allowed."""
        ...
