"""Simulated devices: nothing is measured, all of the memory is always free; the ledger's claims fill it."""

from __future__ import annotations

from collections.abc import Sequence

from ..spec import DeviceSpec
from .port import Reading


class FixedProbe:
    """Reads `free_mb = total_mb` for each of its devices, for ever."""

    def __init__(self, devices: Sequence[DeviceSpec]) -> None:
        self._readings = {device.id: Reading(device.total_mb) for device in devices}

    def read(self) -> dict[str, Reading]:
        """The same readings each time."""
        return dict(self._readings)

    def close(self) -> None:
        """Nothing to let go of."""
