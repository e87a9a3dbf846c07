"""An adapter over `fake_trellis_server.py`, as somebody would write one for a program of their own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pocket3d.adapters.mesh_models import ImageToMeshModel
from pocket3d.adapters.upstream.http_program.model import ServerModel, check_glb
from pocket3d.adapters.upstream.http_program.requests import form

SCRIPT = Path(__file__).with_name("fake_trellis_server.py")


class ServedAdapter(ServerModel, ImageToMeshModel):
    """`served`: an image in, a tetrahedron out. The answer is not looked at beyond its head."""

    devices = ("cuda", "cpu")
    adapter_id = "served"
    default_vram_mb = 64
    command = (sys.executable, str(SCRIPT), "--host", "{host}", "--port", "{port}")
    start_s = 60.0
    most_answer_bytes = 1_000_000

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        target = Path(response["output_mesh_path"])
        fields: dict[str, str | Path] = {"image": self._image_paths(inputs)[0], "seed": str(inputs.get("seed", 1))}
        self.ask(form("/generate", fields), target)
        check_glb(target)
        return response
