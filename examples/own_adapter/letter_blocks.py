"""An adapter of one's own: a row of blocks, one for each character of the prompt, as tall as its place in Unicode.

It stands for a model: what a real one does differently is that `_load_model` loads weights, and that
`_process_request` asks them. Nothing here needs more than Python, so it runs on every machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh_models import TextToMeshModel

#: Corners of a unit cube, and its faces by them (counted from 1, counter-clockwise seen from outside).
CORNERS = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
FACES = [(1, 2, 4, 3), (5, 7, 8, 6), (1, 5, 6, 2), (3, 4, 8, 7), (1, 3, 7, 5), (2, 6, 8, 4)]
LONGEST = 200


class LetterBlocksAdapter(TextToMeshModel):
    """Blocks for letters.

    Args:
        vram_requirement: MB that the loaded model and one request need together.
        max_concurrent: requests that may run in it at once.
    """

    #: Without this line the system would give it GPUs only.
    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")

    def __init__(self, vram_requirement: int = 64, max_concurrent: int = 4) -> None:
        super().__init__(
            "letter-blocks",
            vram_requirement=vram_requirement,
            max_concurrent=max_concurrent,
            supported_output_formats=["obj"],
        )

    def get_parameter_schema(self) -> dict[str, Any]:
        """Wrong requests are refused by this before a device is taken."""
        return {
            "type": "object",
            "properties": {
                "text_prompt": {"type": "string", "minLength": 1, "maxLength": LONGEST, "description": "any text"},
                "output_format": {"enum": ["obj"], "default": "obj"},
                "height": {"type": "number", "minimum": 0.1, "maximum": 10, "default": 1, "description": "metres"},
            },
            "required": ["text_prompt"],
            "additionalProperties": False,
        }

    def _load_model(self) -> Any:
        # Heavy imports and weights belong here; `self.device` is "cuda:0" or "cpu".
        return "the model"

    def _unload_model(self) -> None:
        self.model = None

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        # Checks the inputs and gives the common part of the answer, `output_mesh_path` among it.
        response: dict[str, Any] = super()._process_request(inputs)
        text = inputs["text_prompt"]
        if not text.isprintable():
            # The producer's mistake: the job is failed with this field, and not tried again.
            raise InvalidInput("the prompt has characters that cannot be printed", "text_prompt")
        highest = max(ord(character) for character in text)
        lines = []
        for at, character in enumerate(text):
            # A cancel is heard here, and watchers see how far it is.
            self.check_cancelled()
            self.report_progress(at / len(text), "stacking")
            tall = inputs.get("height", 1) * ord(character) / highest
            lines += [f"v {at * 1.2 + x:.4f} {y * tall:.4f} {z}" for x, y, z in CORNERS]
            lines += ["f " + " ".join(str(at * len(CORNERS) + corner) for corner in face) for face in FACES]
        Path(response["output_mesh_path"]).write_text("\n".join(lines) + "\n", encoding="ascii")
        self.report_progress(1.0, "done")
        response["generation_info"]["blocks"] = len(text)
        return response
