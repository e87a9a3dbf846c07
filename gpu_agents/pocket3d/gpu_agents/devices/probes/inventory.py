"""From a parsed `--devices` to the devices themselves and one probe for all of them. Blocks: call it in a thread."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from ..spec import NVML_BUFFER_MB, DeviceRequest, DeviceSpec, DeviceSpecError, NvmlPart, cpu_device, fixed_devices
from .combined import CombinedProbe
from .cpu import CpuProbe, memory_mb
from .fixed import FixedProbe
from .nvml import NvmlProbe, NvmlUnavailableError
from .port import Probe
from .visible import visible_gpus


class Inventory(NamedTuple):
    """An agent's devices."""

    devices: list[DeviceSpec]
    probe: Probe
    #: For the log: why there are fewer devices than one might expect.
    notes: list[str]


def open_devices(
    request: DeviceRequest,
    *,
    memory_buffer: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Inventory:
    """Find what `request` asks for.

    Args:
        request: from `parse_devices`.
        memory_buffer: MB kept free on every device; None for 1024 on NVML devices and 0 on the others.
        environ: for CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.

    Raises:
        DeviceSpecError: GPUs were asked for and there are none, or CUDA_VISIBLE_DEVICES is ambiguous.
    """
    devices: list[DeviceSpec] = []
    probes: list[Probe] = []
    notes: list[str] = []
    if request.nvml is not None:
        probe, gpus = _open_nvml(request.nvml, memory_buffer, environ, notes)
        if probe is not None:
            devices += gpus
            probes.append(probe)
    if request.fixed:
        fixed = fixed_devices(request.fixed, memory_buffer)
        devices += fixed
        probes.append(FixedProbe(fixed))
    if request.cpu is not None:
        lane = cpu_device(request.cpu, memory_mb(), memory_buffer)
        devices.append(lane)
        probes.append(CpuProbe(lane))
    return Inventory(devices, CombinedProbe(probes), notes)


def _open_nvml(
    part: NvmlPart, memory_buffer: int | None, environ: Mapping[str, str], notes: list[str]
) -> tuple[NvmlProbe | None, list[DeviceSpec]]:
    """The GPUs, or (None, []) and a note when there are none and none was insisted on."""
    try:
        probe = NvmlProbe()
    except NvmlUnavailableError as error:
        if part.required:
            raise DeviceSpecError(
                f"--devices nvml: no GPU can be used: {error}; without GPUs use cpu or auto"
            ) from error
        notes.append(f"no GPU: {error}")
        return None, []
    notes += probe.notes
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    try:
        chosen = visible_gpus(probe.gpus, visible, environ.get("CUDA_DEVICE_ORDER"))
    except DeviceSpecError:
        probe.close()
        raise
    if not chosen:
        why = "the driver shows none" if not probe.gpus else f"CUDA_VISIBLE_DEVICES={visible!r} hides all of them"
        probe.close()
        if part.required:
            raise DeviceSpecError(f"--devices nvml: no GPU can be used: {'; '.join([why, *notes])}")
        notes.append(f"no GPU: {why}")
        return None, []
    probe.watch_only([gpu.uuid for gpu in chosen])
    specs = [
        DeviceSpec(
            id=gpu.uuid,
            kind="cuda",
            name=gpu.name,
            total_mb=gpu.total_mb,
            buffer_mb=NVML_BUFFER_MB if memory_buffer is None else memory_buffer,
            simulated=False,
            visible=gpu.uuid,
            max_running=part.max_running,
        )
        for gpu in chosen
    ]
    return probe, specs
