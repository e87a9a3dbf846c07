"""Which GPUs CUDA_VISIBLE_DEVICES leaves to this agent. NVML shows all of them, whatever it says."""

from __future__ import annotations

from collections.abc import Sequence

from ..spec import DeviceSpecError
from .nvml import Gpu


def visible_gpus(gpus: Sequence[Gpu], visible: str | None, order: str | None) -> list[Gpu]:
    """The GPUs that CUDA would use in this environment.

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
        if entry.isdigit():
            sure = order == "PCI_BUS_ID" or len({gpu.name for gpu in gpus}) == 1
            if not sure or any(gpu.uuid.startswith("MIG-") for gpu in gpus):
                raise DeviceSpecError(
                    f"CUDA_VISIBLE_DEVICES={visible}: the GPUs differ, so index {entry} may be another GPU to CUDA "
                    "than to the driver; set CUDA_DEVICE_ORDER=PCI_BUS_ID or name UUIDs (nvidia-smi -L lists them)"
                )
            matches = [gpus[int(entry)]] if int(entry) < len(gpus) else []
        else:
            # CUDA accepts a UUID's beginning if it is unique.
            matches = [gpu for gpu in gpus if entry and gpu.uuid.startswith(entry)]
        if len(matches) != 1:
            break
        if matches[0] not in chosen:
            chosen.append(matches[0])
    return chosen
