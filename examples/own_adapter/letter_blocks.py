"""An adapter of one's own: a row of blocks, one for each character of the prompt, as tall as its place in Unicode.

It stands for a model: what a real one does differently is that `_load_model` loads weights, and that
`_process_request` asks them. Nothing here needs more than Python, so it runs on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pocket3d.adapters.authoring.options import Meta, Options
from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh_models import TextToMeshModel

#: Corners of a unit cube, and its faces by them (counted from 1, counter-clockwise seen from outside).
CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
FACES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
LONGEST = 200


class LetterBlocksOptions(Options):
    """What a request may say. This is published, and wrong requests are refused by it before a device is taken."""

    text_prompt: Annotated[str, Meta(min_length=1, max_length=LONGEST, description="any text")]
    output_format: str = "obj"
    height: Annotated[float, Meta(ge=0.1, le=10, description="metres")] = 1.0


class LetterBlocksAdapter(TextToMeshModel):
    """Blocks for letters."""

    adapter_id = "letter-blocks"
    #: MB that the loaded model and one request need together.
    default_vram_mb = 64
    #: Requests that may run in it at once.
    default_max_concurrent = 4
    default_output_formats = ("obj",)
    options_type = LetterBlocksOptions
    #: Without this line the system would give it GPUs only.
    devices = ("cuda", "cpu")

    def _load_model(self) -> Any:
        # Heavy imports and weights belong here; `self.device` is "cuda:0" or "cpu".
        return "the model"

    def _unload_model(self) -> None:
        self.model = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        # Checks the inputs and gives the common part of the answer, `output_mesh_path` among it.
        response: dict[str, Any] = super()._process_request(inputs)
        options = LetterBlocksOptions.read(inputs)
        text = options.text_prompt
        if not text.isprintable():
            # The producer's mistake: the job is failed with this field, and not tried again.
            raise InvalidInput("the prompt has characters that cannot be printed", "text_prompt")
        highest = max(ord(character) for character in text)
        lines = []
        for at, character in enumerate(text):
            # A cancel is heard here, and watchers see how far it is.
            self.step(at / len(text), "stacking")
            tall = options.height * ord(character) / highest
            lines += [f"v {at * 1.2 + x:.4f} {y * tall:.4f} {z}" for x, y, z in CORNERS]
            lines += ["f " + " ".join(str(at * len(CORNERS) + corner) for corner in face) for face in FACES]
        Path(response["output_mesh_path"]).write_text("\n".join(lines) + "\n", encoding="ascii")
        self.report_progress(1.0, "done")
        response["generation_info"]["blocks"] = len(text)
        return response
