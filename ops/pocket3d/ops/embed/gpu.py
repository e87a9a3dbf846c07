"""`GPUMonitor`: which devices this machine has, and how much of their memory is free."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from pocket3d.gpu_agents.devices.probes.inventory import Inventory, open_devices
from pocket3d.gpu_agents.devices.spec import parse_devices

#: As `--devices`.
DEVICES_VARIABLE = "POCKET3D_DEVICES"


class GPUMonitor:
    """Measures the devices that a `ModelScheduler` uses.

    Args:
        memory_buffer: MB that the scheduler keeps free on every device; by default 1024 on GPUs and none on the others.
        devices: what there is to use, as `--devices` (`auto`, `nvml`, `fixed:24576,12288`, `cpu:8192`, joined by +); by
            default `POCKET3D_DEVICES`, else `auto`: every NVML GPU, and a CPU lane.

    Raises:
        DeviceSpecError: `devices` is wrong.
    """

    def __init__(self, memory_buffer: int | None = None, devices: str | None = None) -> None:
        self.memory_buffer = memory_buffer
        self.devices = devices if devices is not None else os.environ.get(DEVICES_VARIABLE, "auto")
        self._request = parse_devices(self.devices)
        self._inventory: Inventory | None = None
        # Not asyncio's: a monitor may outlive the loop in which it was asked first.
        self._lock = threading.Lock()

    async def get_gpu_info(self) -> list[dict[str, Any]]:
        """Each device: `id`, `name`, `total_memory`, `used_memory`, `free_memory` (MB, measured now).

        GPUs come first; where there is none the CPU lane is entry 0. `free_memory` is what the driver shows, the buffer
        included; it is 0 while a device cannot be used.

        Raises:
            DeviceSpecError: GPUs were asked for and there are none.
        """
        return await asyncio.to_thread(self._read)

    def open(self) -> Inventory:
        """The devices and a probe of the caller's own, to be closed by it. Blocks.

        Raises:
            DeviceSpecError: GPUs were asked for and there are none.
        """
        return open_devices(self._request, memory_buffer=self.memory_buffer)

    def close(self) -> None:
        """Let go of the driver; the next question opens it again."""
        with self._lock:
            if self._inventory is not None:
                self._inventory.probe.close()
                self._inventory = None

    def _read(self) -> list[dict[str, Any]]:
        with self._lock:
            if self._inventory is None:
                self._inventory = self.open()
            readings = self._inventory.probe.read()
            return [
                {
                    "id": device.id,
                    "name": device.name,
                    "total_memory": device.total_mb,
                    "used_memory": device.total_mb - readings[device.id].free_mb,
                    "free_memory": readings[device.id].free_mb,
                }
                for device in self._inventory.devices
            ]
