"""Small adapters that behave, each to make one promise of the framework visible."""

from __future__ import annotations

import sys
import threading
from typing import Any, ClassVar

from pocket3d.adapters.base import BaseModel


class BarrierAdapter(BaseModel):
    """Sync; each request waits until `parties` of them run."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")

    def __init__(self, parties: int, max_concurrent: int, vram_requirement: int = 16) -> None:
        super().__init__("barrier", vram_requirement=vram_requirement, max_concurrent=max_concurrent)
        self.barrier = threading.Barrier(parties)

    def _load_model(self) -> Any:
        return None

    def _unload_model(self) -> None:
        pass

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        name = inputs["name"]
        mine = self.output_dir
        self.report_progress(0.5, name)
        self.barrier.wait(30)
        assert self.output_dir == mine
        (mine / "mesh.glb").write_text(name)
        self.barrier.wait(30)
        self.report_progress(1.0, name)
        return {"success": True, "output_mesh_path": "mesh.glb"}


class ChattyAdapter(BaseModel):
    """Reports `inputs["reports"]` times as fast as it can."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")

    def __init__(self, vram_requirement: int = 16) -> None:
        super().__init__("chatty", vram_requirement=vram_requirement)

    def _load_model(self) -> Any:
        return None

    def _unload_model(self) -> None:
        pass

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        count = inputs["reports"]
        for step in range(count):
            self.report_progress((step + 1) / count, "talking")
        return {"success": True}


class ModulesAdapter(ChattyAdapter):
    """Says which modules its process has."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"success": True, "modules": sorted(sys.modules)}


class QuickFileAdapter(BaseModel):
    """Writes a small file at once: more quickly than anybody can store it."""

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")

    def __init__(self, max_concurrent: int = 32, vram_requirement: int = 16) -> None:
        super().__init__("quick", vram_requirement=vram_requirement, max_concurrent=max_concurrent)

    def _load_model(self) -> Any:
        return None

    def _unload_model(self) -> None:
        pass

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        (self.output_dir / "mesh.glb").write_bytes(b"glTF" + bytes(924))
        return {"success": True, "output_mesh_path": "mesh.glb"}
