"""Several probes as one."""

from __future__ import annotations

from collections.abc import Sequence

from .port import Probe, Reading


class CombinedProbe:
    """Reads all of its probes, in order."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = list(probes)

    def read(self) -> dict[str, Reading]:
        """The readings of all probes together."""
        return {device: reading for probe in self._probes for device, reading in probe.read().items()}

    def close(self) -> None:
        """Close all of them."""
        for probe in self._probes:
            probe.close()
