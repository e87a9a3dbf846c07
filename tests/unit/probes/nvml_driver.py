"""Runs in a process whose LD_LIBRARY_PATH holds the fake driver: opens the devices and reads them on command.

Lines on stdin: `read`, `whole`, `faults`, `close`, `pass SECONDS` (of the probe's clock). Each is answered with one
JSON line.
"""

from __future__ import annotations

import json
import os
import sys
from unittest import mock

from pocket3d.gpu_agents.devices.probes import inventory, nvml
from pocket3d.gpu_agents.devices.probes.inventory import open_devices
from pocket3d.gpu_agents.devices.spec import DeviceSpecError, parse_devices


def answer(value: object) -> None:
    print(json.dumps(value), flush=True)


def main() -> None:
    seconds = [0.0]

    def probe() -> nvml.NvmlProbe:
        return nvml.NvmlProbe(
            retry_s=30.0,
            clock=lambda: seconds[0],
            patience_s=float(os.environ.get("PATIENCE_S", "60")),
            open_patience_s=float(os.environ.get("OPEN_PATIENCE_S", "60")),
            own_pids="FOREIGN_PIDS" not in os.environ,
        )

    with mock.patch.object(inventory, "NvmlProbe", probe):
        try:
            found = open_devices(parse_devices(sys.argv[1]))
        except DeviceSpecError as error:
            answer({"error": str(error)})
            return
    answer(
        {
            "devices": [
                [d.id, d.kind, d.name, d.total_mb, d.buffer_mb, d.visible, d.max_running, d.simulated]
                for d in found.devices
            ],
            "capabilities": [d.capability for d in found.devices],
            "notes": found.notes,
        }
    )
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "pass":
            seconds[0] += float(rest)
            answer("ok")
        elif word == "read":
            answer({device: list(reading)[:3] for device, reading in found.probe.read().items()})
        elif word == "whole":
            answer(
                {
                    device: [*reading[:4], dict(reading.parents)]  # what JSON can carry
                    for device, reading in found.probe.read().items()
                }
            )
        elif word == "faults":
            answer({device: reading.faults for device, reading in found.probe.read().items()})
        elif word == "close":
            found.probe.close()
            answer("closed")


main()
