"""Adapters for the check kit: one that keeps the contract in full, others with one fault each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from pocket3d.adapters.kit.samples import write_sample_mesh
from pocket3d.adapters.licenses import License
from pocket3d.adapters.mesh_models import TextToMeshModel


class GoodAdapter(TextToMeshModel):
    """Takes half a second and a bit, in steps."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    license_info: ClassVar[License | None] = License(code="MIT", weights="MIT")
    steps: ClassVar[int] = 20

    def __init__(self, model_id: str = "good", vram_requirement: int = 16, step_s: float = 0.03) -> None:
        super().__init__(model_id, vram_requirement=vram_requirement)
        self.step_s = step_s

    def get_parameter_schema(self) -> dict[str, Any] | None:
        return {
            "type": "object",
            "properties": {
                "text_prompt": {"type": "string", "description": "what is wanted"},
                "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "same seed, same mesh"},
            },
            "additionalProperties": False,
        }

    def _load_model(self) -> Any:
        return "loaded"

    def _unload_model(self) -> None:
        pass

    def _step(self, step: int) -> None:
        self.check_cancelled()
        self.report_progress(step / self.steps, "sampling")

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        response = super()._process_request(inputs)
        for step in range(self.steps):
            self._step(step)
            time.sleep(self.step_s)
        write_sample_mesh(Path(response["output_mesh_path"]))
        self.report_progress(1.0, "done")
        return response


class DeafAdapter(GoodAdapter):
    """Never looks at a cancel."""

    def _step(self, step: int) -> None:
        self.report_progress(step / self.steps, "sampling")


class BackwardsAdapter(GoodAdapter):
    """Its progress is of each stage."""

    def _step(self, step: int) -> None:
        self.check_cancelled()
        self.report_progress((step % 10) / 10, "sampling")


class WrongAnswersAdapter(GoodAdapter):
    """No JSON Schema, answers whatever is asked, returns no mesh, leaves files about, cannot be unloaded."""

    license_info: ClassVar[License | None] = License(code="MIT", weights="NC", commercial_use=False)

    def get_parameter_schema(self) -> dict[str, Any] | None:
        return {"type": "object", "properties": {"seed": {"type": "whole number"}}}

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        inputs.setdefault("text_prompt", "something")

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        Path("scratch.npy").write_text("left")
        response = super()._process_request(inputs)
        del response["output_mesh_path"]
        return response

    def _unload_model(self) -> None:
        raise RuntimeError("cannot let go")


class CarelessAdapter(GoodAdapter):
    """Forgets the feature's own keys, does not say what it dislikes, writes nothing into its file."""

    def get_parameter_schema(self) -> dict[str, Any] | None:
        return {"type": "object", "properties": {}, "additionalProperties": False}

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        if "text_prompt" not in inputs:
            raise ValueError("bad request")

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        response = super()._process_request(inputs)
        Path(response["output_mesh_path"]).write_bytes(b"")
        return response


class OnceAdapter(GoodAdapter):
    """Loads once: it leaves a lock behind."""

    def __init__(self, lock: str) -> None:
        super().__init__("once")
        self.lock = Path(lock)

    def _load_model(self) -> Any:
        if self.lock.exists():
            raise RuntimeError("locked by another process")
        self.lock.write_text("mine")


class DiceAdapter(GoodAdapter):
    """Takes a seed and does not use it; keeps a file to itself."""

    def _process_request(self, inputs: dict[str, Any]) -> Any:
        response = super()._process_request(inputs)
        (self.output_dir / "forgotten.ply").write_text("ply")
        with Path(response["output_mesh_path"]).open("r+b") as file:
            # In the last triangle's indices; still a GLB by its header.
            file.seek(-4, 2)
            file.write((time.time_ns() % 1000).to_bytes(2, "little"))
        return response


class GpuAdapter(GoodAdapter):
    """Needs a GPU."""

    devices: ClassVar[tuple[str, ...]] = ("cuda",)
