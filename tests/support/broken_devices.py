"""Adapters whose device goes wrong in a run, one way each.

For `models.yaml`: `class: "broken_devices.PoisonedAdapter"`, `path: [<tests/support>]`. They run on any device: the
torch that one of them uses is a stand-in.
"""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from pocket3d.adapters.errors import JobCancelled

if TYPE_CHECKING:
    from support.device_trouble import StandInTorch
    from support.misbehaving import Harmless
else:
    # As a worker finds them, whose path has this very folder.
    from device_trouble import StandInTorch
    from misbehaving import Harmless


class PoisonedAdapter(Harmless):
    """Fails with `inputs["text"]` in the middle of a chain that does not repeat it; with `until_cancelled` at the
    moment of its cancel. Without a text it succeeds.
    """

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        try:
            if inputs.get("until_cancelled"):
                self.report_progress(0.5, "waits for its cancel")
                while True:
                    self.check_cancelled()
                    time.sleep(0.01)
            if "text" not in inputs:
                return {"success": True}
            raise RuntimeError(inputs["text"])
        except JobCancelled:
            raise RuntimeError(inputs["text"]) from None
        except RuntimeError as error:
            raise Exception("Generation failed") from error


class BrokenDeviceAdapter(Harmless):
    """Uses a torch whose device answers a proof as `inputs["device"]` says (`sound`, `broken` or `hanging`) after a run
    that says nothing of it: it fails, or with `until_cancelled` waits for its cancel.
    """

    def _load_model(self) -> Any:
        self.torch = StandInTorch()
        sys.modules["torch"] = self.torch  # type: ignore[assignment]  # a stand-in
        return "loaded"

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        self.torch.state = inputs["device"]
        if inputs.get("until_cancelled"):
            self.report_progress(0.5, "waits for its cancel")
            while True:
                self.check_cancelled()
                time.sleep(0.01)
        raise RuntimeError("the sampler gave nothing")


class _Allocator:
    """As `torch.cuda` counts: what was once reserved is kept until the cache is emptied."""

    def __init__(self) -> None:
        self.live: weakref.WeakSet[Any] = weakref.WeakSet()
        self.reserved = self.peak = 0

    def hold(self) -> Any:
        tensor = type("Tensor", (), {})()
        self.live.add(tensor)
        self.reserved = max(self.reserved, len(self.live) * 64 * 1024 * 1024)
        self.peak = max(self.peak, self.reserved)
        return tensor

    def reset_peak(self) -> None:
        self.peak = self.reserved

    def empty_cache(self) -> None:
        self.reserved = len(self.live) * 64 * 1024 * 1024


class HoardingAdapter(Harmless):
    """Holds `tensors` x 64 MB on a pretended device; with `fail`, in a traceback that only a collection frees."""

    def _load_model(self) -> Any:
        self.allocator = held = _Allocator()
        torch = StandInTorch()
        torch.cuda.memory_reserved = lambda: held.reserved
        torch.cuda.max_memory_reserved = lambda: held.peak
        torch.cuda.reset_peak_memory_stats = held.reset_peak
        torch.cuda.empty_cache = held.empty_cache
        sys.modules["torch"] = torch  # type: ignore[assignment]
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
