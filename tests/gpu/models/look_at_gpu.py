"""What torch and NVML say of the GPU and of this process, as JSON."""

from __future__ import annotations

import json
import os

import torch

from pocket3d.gpu_agents.devices.probes.nvml import NvmlProbe

_MB = 2**20

probe = NvmlProbe()
before = probe.read()
told: dict[str, object] = {"pid": os.getpid(), "count": torch.cuda.device_count(), "nvml": [g.uuid for g in probe.gpus]}
if torch.cuda.is_available():
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    kept = torch.ones(1024 * _MB, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    after = probe.read()[uuid]
    told |= {
        "uuid": uuid,
        "torch_free_mb": free // _MB,
        "torch_total_mb": total // _MB,
        "reserved_mb": torch.cuda.memory_reserved() // _MB,
        "nvml_free_mb": after.free_mb,
        "nvml_free_before_mb": before[uuid].free_mb,
        "used_by_pid": after.used_by_pid,
        "compute_capability": ".".join(map(str, torch.cuda.get_device_capability())),
    }
else:
    try:
        torch.zeros(1, device="cuda")
    except (RuntimeError, AssertionError) as error:
        told["error"] = str(error)
print(json.dumps(told))
