"""`procedural-text-to-mesh`: a sentence in, a mesh out, by the shape grammar. No weights.

The heavy imports happen at load, so that the class can be described without them. The grammar itself is pure Python:
a prompt that cannot be built is refused before anything is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import required_text, whole_number
from ..installed import missing_packages
from ..mesh_models import TextToMeshModel
from .attribute_words import PromptError
from .grammar import parse, vocabulary_text
from .scene import Scene

_MAX_SEED = 2**32 - 1
_NEEDED = ("torch", "numpy", "trimesh")


class ProceduralTextToMeshAdapter(TextToMeshModel):
    """Builds what the grammar understands of a prompt, and says what it ignored.

    Args:
        model_id: its name.
        vram_requirement: MB.
        max_concurrent: prompts at once.
        feature_type: `text_to_mesh`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl")

    def __init__(
        self,
        model_id: str = "procedural-text-to-mesh",
        vram_requirement: int = 512,
        max_concurrent: int = 1,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent, feature_type=feature_type
        )

    def check_available(self) -> str | None:
        """Names what is not installed."""
        return missing_packages(_NEEDED)

    def get_parameter_schema(self) -> dict[str, Any]:
        """All that it takes; other keys are refused."""
        return {
            "type": "object",
            "properties": {
                "text_prompt": {
                    "type": "string",
                    "minLength": 1,
                    "description": "things with counts, sizes, colours, materials and parts, such as 'a red table with"
                    f" six wooden legs' or 'a cup on a table'. Nouns: {vocabulary_text()}",
                },
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_SEED,
                    "default": 0,
                    "description": "0 gives the usual proportions; any other varies sizes and thicknesses by up to 8 %,"
                    " and which books stand on a shelf. The same seed gives the same mesh",
                },
            },
            "required": ["text_prompt"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The prompt is read in full, so a bad one is refused before anything is built."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        whole_number(inputs, "seed", 0, 0, _MAX_SEED)
        _scene(inputs)

    def _load_model(self) -> str:
        from . import assembly

        return assembly.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_output import COLOUR_IN_FORMAT, is_watertight, statistics, write_mesh
        from ..mesh_result import describe_mesh
        from .assembly import assemble

        response: dict[str, Any] = super()._process_request(inputs)
        seed = whole_number(inputs, "seed", 0, 0, _MAX_SEED)

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(0.05 + 0.85 * fraction, stage)

        self.report_progress(0.0, "reading the prompt")
        scene = _scene(inputs)
        made = assemble(scene, seed, self.device, step)
        step(1.0, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write_mesh(made.parts, target)
        described = describe_mesh(target, self.output_dir)
        response["generation_info"] = {
            **response["generation_info"],
            "model": "procedural shape grammar",
            "understood": scene.understood(),
            "ignored": made.ignored,
            "notes": made.notes,
            **statistics(made.parts),
            "statistics": described["statistics"],
            "sizes": made.sizes,
            "parts": [
                {
                    "name": part.name,
                    "material": part.material.name,
                    "watertight": is_watertight(part.faces),
                }
                for part in made.parts[:_MOST_PARTS_LISTED]
            ],
            "seed": seed,
            "device": self.device,
            "output_format": target.suffix[1:],
            "colour": COLOUR_IN_FORMAT[target.suffix[1:]],
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        response["seed"] = seed
        self.report_progress(1.0, "done")
        return response


#: A result has to stay small; `part_count` tells how many there are.
_MOST_PARTS_LISTED = 200


def _scene(inputs: dict[str, Any]) -> Scene:
    try:
        return parse(required_text(inputs, "text_prompt", "text-to-mesh generation"))
    except PromptError as error:
        raise InvalidInput(str(error), "text_prompt") from error
