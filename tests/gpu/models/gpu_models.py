"""A model that does to its GPU what a job says, for tests. Without CUDA it takes host memory, and raises in words what
a driver would.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pocket3d.adapters.base import BaseModel

_MB = 2**20
#: What torch says of a spoiled context (torch 2.x, c10/cuda/CUDAException).
_STICKY = "CUDA error: device-side assert triggered"


class GpuModel(BaseModel):
    """Holds `hold_mb` while it is loaded; `act` among the inputs says what a job does.

    Args:
        model_id: its name.
        vram_requirement: MB that it declares.
        hold_mb: MB that it takes at its load.
        max_concurrent: see `BaseModel`.
    """

    devices = ("cuda", "cpu")
    default_feature = "gpu_test"
    default_output_formats = ()

    def __init__(
        self,
        model_id: str | None = None,
        vram_requirement: int = 1024,
        hold_mb: int = 64,
        max_concurrent: int | None = None,
    ) -> None:
        super().__init__(model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent)
        self.hold_mb = hold_mb

    def _load_model(self) -> Any:
        import torch

        self.cuda = torch.cuda.is_available()
        return self._taken(self.hold_mb)

    def _unload_model(self) -> None:
        self.model = None

    def _taken(self, megabytes: int) -> Any:
        import torch

        made = torch.ones(megabytes * _MB, dtype=torch.uint8, device="cuda" if self.cuda else "cpu")
        if self.cuda:
            torch.cuda.synchronize()
        return made

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        said = getattr(self, f"_{inputs.get('act', 'allocate')}")(inputs)
        return {"success": True, "pid": os.getpid(), **(said or {})}

    # ------------------------------------------------------------ sound

    def _allocate(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import torch

        taken = self._taken(int(inputs.get("mb", 1)))
        ends = time.monotonic() + float(inputs.get("seconds", 0))
        while time.monotonic() < ends:
            self.check_cancelled()
            time.sleep(0.02)
        del taken
        return {"reserved_mb": torch.cuda.memory_reserved() // _MB if self.cuda else None}

    def _child(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """A process of its own takes the memory, as UniRig's steps do."""
        program = Path(__file__).with_name("holding_child.py")
        command = [sys.executable, str(program), str(inputs["mb"]), str(inputs["seconds"])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
            assert child.stdout is not None
            self.report_progress(0.5, child.stdout.readline().strip())
            while child.poll() is None:
                time.sleep(0.05)
        return {"child": child.pid}

    # ------------------------------------------------------------ out of memory

    def _oom(self, inputs: dict[str, Any]) -> dict[str, Any] | None:
        """By torch; with `once` only where that file is not there yet."""
        mark = inputs.get("once")
        if mark is not None and Path(mark).exists():
            return None
        if mark is not None:
            Path(mark).touch()
        if not self.cuda:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1024.00 GiB (a stand-in)")
        kept = []
        while True:
            kept.append(self._taken(1024))

    def _oom_cublas(self, inputs: dict[str, Any]) -> None:
        """A matrix product that finds no room for its workspace."""
        if not self.cuda:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED in `cublasCreate` (a stand-in)")
        import torch

        kept = []
        for size in (1024, 64, 4):
            try:
                while True:
                    kept.append(self._taken(size))
            except torch.cuda.OutOfMemoryError:
                continue
        one = kept[0][: 2 * _MB].view(torch.float32).reshape(512, 1024)
        (one @ one.T).sum().item()
        raise RuntimeError("CUDA out of memory: cuBLAS found room for its workspace on a full card; torch did not")

    def _host_memory(self, inputs: dict[str, Any]) -> None:
        raise MemoryError("the host has no more memory (a stand-in)")

    # ------------------------------------------------------------ what spoils a context

    def _assert(self, inputs: dict[str, Any]) -> None:
        if not self.cuda:
            raise RuntimeError(_STICKY)
        import torch

        table = torch.zeros(4, device="cuda")
        table[torch.tensor([10_000_000], device="cuda")].sum().item()

    def _illegal_triton(self, inputs: dict[str, Any]) -> None:
        if not self.cuda:
            raise RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered (a stand-in)")
        from illegal_access import by_triton

        by_triton()

    def _illegal_cupy(self, inputs: dict[str, Any]) -> None:
        if not self.cuda:
            raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered (a stand-in)")
        from illegal_access import by_cupy

        by_cupy()

    def _assert_when_cancelled(self, inputs: dict[str, Any]) -> None:
        """The context is spoiled at the moment of the cancel; nobody sees an error of it."""
        self.report_progress(0.5, "waiting for the cancel")
        while not self._run().cancelled:
            time.sleep(0.02)
        try:
            self._assert(inputs)
        except RuntimeError:
            self.check_cancelled()

    # ------------------------------------------------------------ the host's memory

    def _hog(self, inputs: dict[str, Any]) -> dict[str, Any]:
        kept = []
        for _ in range(int(inputs["mb"]) // 64):
            kept.append(bytearray(os.urandom(_MB)) * 64)
            time.sleep(0.05)
        time.sleep(60)
        return {"kept": len(kept)}
