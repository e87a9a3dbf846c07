"""From a parsed `--devices` to the devices themselves and one probe for all of them. Blocks: call it in a thread."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pocket3d.contracts.bounds import decimal

from ..spec import NVML_BUFFER_MB, DeviceRequest, DeviceSpec, DeviceSpecError, NvmlPart, cpu_device, fixed_devices
from .cpu import CpuProbe, memory_mb
from .nvml import Gpu, NvmlProbe, NvmlUnavailableError
from .port import Probe, Reading


class CombinedProbe:
    """Several probes as one, and the devices that nobody measures.

    Args:
        probes: read in order.
        simulated: all of their memory is always free; the ledger's claims fill it.
    """

    def __init__(self, probes: Sequence[Probe], simulated: Sequence[DeviceSpec] = ()) -> None:
        self._probes = list(probes)
        self._simulated = {device.id: Reading(device.total_mb) for device in simulated}

    def read(self) -> dict[str, Reading]:
        """The readings of all devices."""
        return self._simulated | {id: reading for probe in self._probes for id, reading in probe.read().items()}

    def close(self) -> None:
        """Close all probes."""
        for probe in self._probes:
            probe.close()


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
    fixed = fixed_devices(request.fixed, memory_buffer)
    devices += fixed
    if request.cpu is not None:
        lane = cpu_device(request.cpu, memory_mb(), memory_buffer)
        devices.append(lane)
        probes.append(CpuProbe(lane))
    return Inventory(devices, CombinedProbe(probes, fixed), notes)


def _open_nvml(
    part: NvmlPart, memory_buffer: int | None, environ: Mapping[str, str], notes: list[str]
) -> tuple[NvmlProbe | None, list[DeviceSpec]]:
    """The GPUs, or (None, []) and a note when there are none and none was insisted on."""
    try:
        probe = NvmlProbe()
    except NvmlUnavailableError as error:
        return _no_gpu(part, str(error), notes)
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
        return _no_gpu(part, why, notes)
    # The others are left alone from now on.
    probe.gpus = chosen
    specs = [
        DeviceSpec(
            id=gpu.uuid,
            kind="cuda",
            name=gpu.name,
            total_mb=gpu.total_mb,
            buffer_mb=NVML_BUFFER_MB if memory_buffer is None else memory_buffer,
            visible=gpu.uuid,
            max_running=part.max_running,
            capability=gpu.capability,
        )
        for gpu in chosen
    ]
    return probe, specs


def _no_gpu(part: NvmlPart, why: str, notes: list[str]) -> tuple[None, list[DeviceSpec]]:
    if part.required:
        told = "; ".join([why, *notes])
        raise DeviceSpecError(f"--devices nvml: no GPU can be used: {told}; without GPUs use cpu or auto")
    notes.append(f"no GPU: {why}")
    return None, []


def visible_gpus(gpus: Sequence[Gpu], visible: str | None, order: str | None) -> list[Gpu]:
    """The GPUs that CUDA would use in this environment; NVML shows all of them, whatever it says.

    As CUDA does, the list ends at the first entry that names no GPU. An index is only understood where CUDA's own
    numbering is known: with one kind of GPU, or when CUDA_DEVICE_ORDER is PCI_BUS_ID (NVML's order).

    Args:
        gpus: all, in NVML's order.
        visible: CUDA_VISIBLE_DEVICES; None when not set.
        order: CUDA_DEVICE_ORDER; None when not set.

    Raises:
        DeviceSpecError: an index that may mean another GPU to CUDA than to NVML.
    """
    if visible is None:
        return list(gpus)
    chosen: list[Gpu] = []
    for entry in (word.strip() for word in visible.split(",")):
        index = decimal(entry)
        if index is not None:
            sure = order == "PCI_BUS_ID" or len({gpu.name for gpu in gpus}) == 1
            if not sure or any(gpu.uuid.startswith("MIG-") for gpu in gpus):
                raise DeviceSpecError(
                    f"CUDA_VISIBLE_DEVICES={visible}: the GPUs differ, so index {entry} may be another GPU to CUDA "
                    "than to the driver; set CUDA_DEVICE_ORDER=PCI_BUS_ID or name UUIDs (nvidia-smi -L lists them)"
                )
            matches = [gpus[index]] if index < len(gpus) else []
        else:
            # CUDA accepts a UUID's beginning if it is unique.
            matches = [gpu for gpu in gpus if entry and gpu.uuid.startswith(entry)]
        if len(matches) != 1:
            break
        if matches[0] not in chosen:
            chosen.append(matches[0])
    return chosen
