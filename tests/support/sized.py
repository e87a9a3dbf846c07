"""Adapters in several sizes, for tests of variants."""

from __future__ import annotations

from typing import Any

from pocket3d.adapters.base import BaseModel, Variant


class SizedAdapter(BaseModel):
    """Answers with what it has loaded. A request may ask that it runs out of memory in some variants (`too_large`), or
    that it runs until it is cancelled (`hold`).
    """

    adapter_id = "sized"
    default_feature = "sized"
    devices = ("cuda", "cpu")
    variants = (
        Variant(name="512", vram_mb=8192, quality=1),
        Variant(name="1024", vram_mb=16384, quality=2),
    )

    def _load_model(self) -> Any:
        return f"loaded as {self.variant}"

    def _unload_model(self) -> None:
        pass

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        if self.variant in inputs.get("too_large", ()):
            raise RuntimeError("CUDA out of memory. Tried to allocate 9.00 GiB")
        while inputs.get("hold"):
            await self.sleep(60.0)
        return {"success": True, "model": self.model, "vram_mb": self.vram_requirement}


class UnawareAdapter(BaseModel):
    """Knows nothing of variants; what it loads is an argument of its constructor."""

    default_feature = "sized"
    devices = ("cpu",)

    def __init__(self, model_id: str, steps: int = 1, vram_requirement: int = 64) -> None:
        super().__init__(model_id, vram_requirement=vram_requirement)
        self.steps = steps

    def _load_model(self) -> Any:
        return f"{self.steps} steps"

    def _unload_model(self) -> None:
        pass

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"success": True, "model": self.model}
