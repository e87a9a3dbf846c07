"""Adapters that misbehave, one fault each. Importing this module works; `misbehaving_import` does not.

For `models.yaml`: `class: "misbehaving.CrashingAdapter"`, `path: [<tests/support>]`. All run on any device and need
almost nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.licenses import License
from pocket3d.adapters.mesh_models import TextToMeshModel

#: The folder to put on an adapter's `path`.
SUPPORT_DIR = str(Path(__file__).resolve().parent)


class Harmless(BaseModel):
    """Answers `{"success": True}`; the others break one thing of it."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_feature: ClassVar[str] = "misbehave"

    def __init__(self, model_id: str = "misbehaving", vram_requirement: int = 16, max_concurrent: int = 1) -> None:
        super().__init__(model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent)

    def _load_model(self) -> Any:
        return "loaded"

    def _unload_model(self) -> None:
        pass

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        return {"success": True}


class LoadFailsAdapter(Harmless):
    """`load_failed`."""

    def _load_model(self) -> Any:
        try:
            raise RuntimeError("the checkpoint is truncated")
        except Exception as e:  # noqa: BLE001
            raise Exception(f"Failed to load my model: {e!s}")  # noqa: B904  # as the guide's adapters do


class LoadOutOfMemoryAdapter(Harmless):
    """`out_of_memory` at its load."""

    def _load_model(self) -> Any:
        raise MemoryError


class LoadHangsAdapter(Harmless):
    """Past `load_s`: `timeout`."""

    def _load_model(self) -> Any:
        threading.Event().wait()


class SlowLoadAdapter(Harmless):
    """Loads for `load_s` seconds; its requests never look at a cancel."""

    def __init__(self, load_s: float) -> None:
        super().__init__()
        self.load_s = load_s

    def _load_model(self) -> Any:
        time.sleep(self.load_s)


class MissingWeightsAdapter(Harmless):
    """`adapter_unavailable`: its constructor finds no weights."""

    def __init__(self, weights: str = "/nonexistent/weights.safetensors") -> None:
        super().__init__()
        if not Path(weights).is_file():
            raise FileNotFoundError(f"no weights at {weights}")


class LicensedAdapter(Harmless):
    """`adapter_unavailable` without `accept_license: true`."""

    license_info: ClassVar[License | None] = License(
        code="Example-NC", weights="Example-NC", commercial_use=False, requires_acceptance=True
    )


class GatedAdapter(Harmless):
    """Runs until somebody makes the file `inputs["gate"]`/<pid of its worker>: a run that ends when a test says so."""

    async def _process_request(self, inputs: dict[str, Any]) -> Any:
        while not (Path(inputs["gate"]) / str(os.getpid())).exists():  # one stat of a local file
            await self.sleep(0.02)
        return {"success": True}


class CrashingAdapter(Harmless):
    """`worker_crashed`: `os._exit(inputs["status"])`, 9 by default."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        os._exit(int(inputs.get("status", 9)))


class CrashOnRequest(Harmless):
    """`worker_crashed` for a request with `crash`; takes `sleep_s` for others, several at a time."""

    async def _process_request(self, inputs: dict[str, Any]) -> Any:
        await self.sleep(float(inputs.get("sleep_s", 0.0)))
        if inputs.get("crash"):
            os._exit(9)
        return {"success": True}


class SegfaultingAdapter(Harmless):
    """`worker_crashed` by SIGSEGV."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        import ctypes

        ctypes.string_at(0)


class OutOfMemoryAdapter(Harmless):
    """`out_of_memory`: a MemoryError, wrapped as the guide's adapters wrap."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        try:
            raise MemoryError("cannot allocate")
        except Exception as e:  # noqa: BLE001
            raise Exception(f"Generation failed: {e!s}")  # noqa: B904  # as the guide's adapters do


class TorchOutOfMemoryAdapter(Harmless):
    """`out_of_memory`: an error that looks like torch's, without torch."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        class OutOfMemoryError(RuntimeError):
            pass

        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")


class HangingAdapter(Harmless):
    """Never ends and ignores every cancel. `started.txt` appears in `inputs["mark_dir"]` when it hangs."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        self.report_progress(0.0, "hanging")
        if "mark_dir" in inputs:
            Path(inputs["mark_dir"], "started.txt").write_text(str(os.getpid()))
        while True:
            time.sleep(3600)


class BlockingLoopAdapter(Harmless):
    """Async, but computes without awaiting until it is cancelled: the loop is blocked meanwhile."""

    async def _process_request(self, inputs: dict[str, Any]) -> Any:
        self.report_progress(0.5, "blocking")
        while True:
            self.check_cancelled()
            time.sleep(0.01)


class SwallowingAdapter(Harmless):
    """Wraps each step in `except Exception`, as careless code does; a cancel must get through."""

    async def _process_request(self, inputs: dict[str, Any]) -> Any:
        step = 0
        while True:
            try:
                await asyncio.sleep(0.01)
                step += 1
                self.report_progress(None, f"step {step}")
                self.check_cancelled()
            except Exception:  # noqa: BLE001
                continue


class PrintingAdapter(Harmless):
    """Prints binary to stdout and stderr, and succeeds."""

    def _load_model(self) -> Any:
        print("loading", flush=True)
        return "loaded"

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        noise = bytes(range(256)) * 64
        for descriptor in (1, 2):
            os.write(descriptor, noise)
        sys.stdout.buffer.write(noise)
        sys.stdout.flush()
        return {"success": True, "printed": 3 * len(noise)}


class NonsenseAdapter(Harmless):
    """`invalid_output`: what it returns is named by `inputs["kind"]`."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        loop: dict[str, Any] = {}
        loop["self"] = loop
        return {
            "none": None,
            "text": "done",
            "bytes": {"success": True, "data": b"\x00"},
            "nan": {"success": True, "score": float("nan")},
            "infinity": {"success": True, "nested": [{"score": float("inf")}]},
            "object": {"success": True, "mesh": object()},
            "cycle": loop,
            "huge": {"success": True, "text": "x" * (600 * 1024)},
            "surrogate": {"success": True, "text": "\udcff"},
            "missing": {"success": True, "output_mesh_path": "not-there.glb"},
            "escape": {"success": True, "output_mesh_path": "../../../../../../../../etc/hostname"},
            "directory": {"success": True, "output_mesh_path": "."},
            "number": {"success": True, "output_mesh_path": 7},
        }[inputs.get("kind", "none")]


class ForeignPathAdapter(Harmless):
    """`invalid_output`: returns a file of the host that it did not write (`inputs["steal"]`)."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        return {"success": True, "output_mesh_path": inputs.get("steal", "/etc/hostname")}


class FailingAdapter(Harmless):
    """`adapter_error`: raises; `inputs["error"]` chooses what."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        kind = inputs.get("error", "plain")
        if kind == "exit":
            sys.exit(3)
        if kind == "value":
            raise ValueError("a tensor of the wrong shape")
        if kind == "answered":
            return {"success": False, "error": "the sampler gave nothing"}
        raise Exception("Generation failed: no reason")


class GuideAdapter(TextToMeshModel):
    """Written as the guide does it: async, validates through the base class, wraps every error."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")

    def __init__(self, outside_dir: str | None = None, vram_requirement: int = 16, max_concurrent: int = 1) -> None:
        super().__init__(model_id="guide", vram_requirement=vram_requirement, max_concurrent=max_concurrent)
        self.outside_dir = outside_dir

    async def _load_model(self) -> Any:
        return "loaded"

    async def _unload_model(self) -> None:
        self.model = None

    async def _process_request(self, inputs: dict[str, Any]) -> Any:
        try:
            output_format = self._validate_common_inputs(inputs)
            folder = self.output_dir if self.outside_dir is None else Path(self.outside_dir)
            path = folder / f"mymodel_{int(time.time())}.{output_format}"
            path.write_bytes(b"glTF")
            response = self._create_common_response(inputs, output_format)
            response.update({"output_mesh_path": str(path), "generation_info": {"model": "MyModel"}})
            return response
        except ValueError as e:
            raise Exception(f"Invalid input: {e!s}")  # noqa: B904  # as the guide's adapters do
        except Exception as e:  # noqa: BLE001
            raise Exception(f"Generation failed: {e!s}")  # noqa: B904  # as the guide's adapters do


class SpawningAdapter(Harmless):
    """Leaves a child of its own behind while it hangs; the child's pid goes to `inputs["mark_dir"]/child.txt`."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        import subprocess

        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], close_fds=False)
        Path(inputs["mark_dir"], "child.txt").write_text(str(child.pid))
        child.wait()


class _Allocator:
    """As much of `torch.cuda` as the worker reads: it keeps what it once reserved until the cache is emptied."""

    def __init__(self) -> None:
        self.live: weakref.WeakSet[Any] = weakref.WeakSet()
        self.reserved = self.peak = 0

    def hold(self) -> Any:
        tensor = type("Tensor", (), {})()
        self.live.add(tensor)
        self.reserved = max(self.reserved, len(self.live) * 64 * 1024 * 1024)
        self.peak = max(self.peak, self.reserved)
        return tensor

    def is_initialized(self) -> bool:
        return True

    def memory_reserved(self) -> int:
        return self.reserved

    def max_memory_reserved(self) -> int:
        return self.peak

    def reset_peak_memory_stats(self) -> None:
        self.peak = self.reserved

    def empty_cache(self) -> None:
        self.reserved = len(self.live) * 64 * 1024 * 1024

    def get_device_capability(self) -> tuple[int, int]:
        return (9, 0)

    def get_arch_list(self) -> list[str]:
        return ["sm_90"]

    def synchronize(self) -> None:
        """Nothing is on its way."""


class HoardingAdapter(Harmless):
    """Holds `tensors` x 64 MB on a pretended device; with `fail`, in a traceback that only a collection frees."""

    def _load_model(self) -> Any:
        self.allocator = _Allocator()
        torch = type(sys)("torch")
        torch.cuda = self.allocator  # type: ignore[attr-defined]
        torch.__version__ = "2.11.0"  # type: ignore[attr-defined]
        torch.uint8 = "uint8"  # type: ignore[attr-defined]
        # A proof of the device, which is not counted here.
        torch.empty = lambda *size, **how: SimpleNamespace(fill_=lambda value: None)  # type: ignore[attr-defined]
        sys.modules["torch"] = torch
        return "loaded"

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        held = [self.allocator.hold() for _ in range(inputs["tensors"])]
        if inputs.get("fail"):
            try:
                raise RuntimeError(f"{len(held)} tensors and no mesh")
            except RuntimeError as error:
                kept = error
                raise kept from None
        return {"success": True}
