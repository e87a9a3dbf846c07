"""The one predicate for "does it fit".

The coordinator asks it of an empty device to know whom to invite, and of the devices that bid when it plans; the agent
asks it again when it accepts. All get the same answer for the same numbers, and a refusal says which dimension was
short and by how much (after Nomad's `AllocsFit`, which its ranker and its plan applier share).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Dimension = Literal["device_kind", "max_running", "max_concurrent", "vram_total", "vram"]


class Need(NamedTuple):
    """What one job wants of one device."""

    #: MB beyond what the device already holds for this job's adapter: the whole requirement for a cold start,
    #: only the job's excess over the resident's footprint on a warm worker.
    vram_mb: int
    #: Device kinds that the adapter runs on.
    kinds: tuple[str, ...]
    #: Free slots of the warm worker, or `max_concurrent` for a cold one.
    slots: int = 1


class Room(NamedTuple):
    """What one device has."""

    kind: str
    total_mb: int
    #: Measured free VRAM.
    free_mb: int
    #: Promised to workers and runs but not yet visible in the measurement.
    reserved_mb: int
    #: Kept free.
    buffer_mb: int
    #: Jobs that run on the device now, all adapters together.
    running: int = 0
    #: Cap of the above; None for no cap.
    max_running: int | None = None

    @staticmethod
    def empty(kind: str, total_mb: int, buffer_mb: int) -> Room:
        """A device on which nothing runs: what does not fit there never fits."""
        return Room(kind, total_mb, total_mb, 0, buffer_mb)

    @property
    def available_mb(self) -> int:
        """MB that may be promised now; negative when others use more than expected."""
        return self.free_mb - self.reserved_mb - self.buffer_mb


class Shortfall(NamedTuple):
    """Why it does not fit."""

    dimension: Dimension
    need: int
    have: int

    @property
    def short(self) -> int:
        """By how much (MB for VRAM, count for slots)."""
        return self.need - self.have


def fits(need: Need, room: Room) -> Shortfall | None:
    """None if a job's `need` fits into a device's `room`, else the first dimension that is short.

    Memory that would be freed for it first counts as free.
    """
    if room.kind not in need.kinds:
        return Shortfall("device_kind", 1, 0)
    if need.vram_mb > room.total_mb - room.buffer_mb:
        return Shortfall("vram_total", need.vram_mb, room.total_mb - room.buffer_mb)
    if need.slots < 1:
        return Shortfall("max_concurrent", 1, need.slots)
    if room.max_running is not None and room.running >= room.max_running:
        return Shortfall("max_running", room.running + 1, room.max_running)
    have = room.available_mb
    # A warm worker with a free slot asks for nothing more: it fits even where others squeezed the device.
    if need.vram_mb > 0 and need.vram_mb > have:
        return Shortfall("vram", need.vram_mb, have)
    return None
