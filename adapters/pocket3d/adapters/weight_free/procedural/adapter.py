"""`procedural-text-to-mesh` builds a mesh from a sentence by the shape grammar. No weights.

The grammar itself is pure Python: a prompt that cannot be built is refused before anything is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ...authoring.mesh_job import write_and_finish
from ...authoring.options import Meta, Options, Seed
from ...authoring.weight_free import WeightFreeModel
from ...mesh_models import TextToMeshModel
from .grammar import parse
from .refusals import vocabulary_text

#: A result has to stay small; `part_count` tells how many there are.
_MOST_PARTS_LISTED = 200


class ProceduralOptions(Options):
    """What a request may say."""

    text_prompt: Annotated[
        str,
        Meta(
            min_length=1,
            description="things with counts, sizes, colours, materials and parts, such as 'a red table with six wooden"
            f" legs' or 'a cup on a table'. {vocabulary_text()}",
        ),
    ]
    output_format: str = "glb"
    seed: Annotated[
        Seed,
        Meta(
            description="0 gives the usual proportions; any other varies sizes and thicknesses by up to 8 %, and which"
            " books stand on a shelf. The same seed gives the same mesh"
        ),
    ] = 0


class ProceduralTextToMeshAdapter(WeightFreeModel, TextToMeshModel):
    """Builds what the grammar understands of a prompt, and says what it ignored."""

    adapter_id = "procedural-text-to-mesh"
    default_vram_mb = 512
    default_output_formats = ("glb", "obj", "ply", "stl")
    options_type = ProceduralOptions
    needs = ("torch", "numpy", "trimesh")
    imports = (".assembly",)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The prompt is read in full, so a bad one is refused before anything is built."""
        super().validate_inputs(inputs)
        parse(inputs["text_prompt"])

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.write import COLOUR_IN_FORMAT, is_watertight, statistics
        from .assembly import assemble

        response: dict[str, Any] = super()._process_request(inputs)
        options = ProceduralOptions.read(inputs)
        self.report_progress(0.0, "reading the prompt")
        scene = parse(options.text_prompt)
        assembly = assemble(scene, options.seed, self.device, self.steps_within(0.05, 0.9))
        response["seed"] = options.seed
        facts = {
            "model": "procedural shape grammar",
            "understood": scene.understood(),
            "ignored": assembly.ignored,
            "notes": assembly.notes,
            **statistics(assembly.parts),
            "sizes": assembly.sizes,
            "parts": [
                {"name": part.name, "material": part.material.name, "watertight": is_watertight(part.faces)}
                for part in assembly.parts[:_MOST_PARTS_LISTED]
            ],
            "seed": options.seed,
            "device": self.device,
            "colour": COLOUR_IN_FORMAT[Path(response["output_mesh_path"]).suffix[1:]],
        }
        return write_and_finish(self, assembly.parts, response, "generation_info", facts)
