"""What surrounds the guide's bare methods: a model with the helpers that they call, which notes what is done to it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from pocket3d.adapters.mesh_models import TextToMeshModel
from pocket3d.adapters.metrics import ModelMetrics


class Weights:
    """A model as the methods use it."""

    def __init__(self, note: Any) -> None:
        self._note = note

    def cpu(self) -> None:
        self._note("cpu")

    def __call__(self, preprocessed: str) -> str:
        self._note("run")
        return f"mesh of {preprocessed}"


class Around(TextToMeshModel):
    """Serves `text_to_mesh`; the prompt says what happens. Each step is a line of the journal, with the process id."""

    def __init__(self, model_id: str, journal: str, vram_requirement: int = 64) -> None:
        super().__init__(model_id, vram_requirement=vram_requirement)
        self.journal = Path(journal)

    def note(self, what: str) -> None:
        with self.journal.open("a") as file:
            file.write(f"{self.model_id} {what} {os.getpid()}\n")

    def _load_model(self) -> Weights:
        self.note("load")
        return Weights(self.note)

    def _unload_model(self) -> None:
        self.note("unload")

    async def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"success": True}

    # -- the guide's helpers

    async def _run_model(self, inputs: dict[str, Any]) -> dict[str, Any]:
        self.note("run")
        prompt = inputs["text_prompt"]
        if prompt == "too slow":
            raise asyncio.TimeoutError
        if prompt == "a shape I do not know":
            raise ValueError("there is no such shape")
        if prompt == "break":
            raise RuntimeError("the model broke")
        return {"success": True, "ran": prompt, "metrics": ModelMetrics.get(self.model_id)}

    def _create_response(self, result: dict[str, Any], output_format: str) -> dict[str, Any]:
        return {**result, "output_format": output_format}

    def _get_cache_key(self, inputs: dict[str, Any]) -> str:
        return str(inputs["text_prompt"])

    def _preprocess(self, inputs: dict[str, Any]) -> str:
        self.note("preprocess")
        return f"<{inputs['text_prompt']}>"

    def _postprocess(self, result: str, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"success": True, "result": result, "seed": inputs.get("seed")}
