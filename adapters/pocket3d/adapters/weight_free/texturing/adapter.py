"""`procedural-text-to-texture` paints a mesh as a few words say. No weights.

The words are read in pure Python: a prompt that says nothing of a surface is refused before anything is loaded.
"""

from __future__ import annotations

from typing import Annotated, Any

from ...authoring.mesh_job import finish_mesh, write_and_finish, write_kept
from ...authoring.options import MeshFile, Meta, Options, Seed
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS
from ...texture_models import TextToTextureModel
from .words import understand, vocabulary_text


class TexturingOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    text_prompt: Annotated[
        str,
        Meta(
            min_length=1,
            description="how the surface should look, such as 'old red brick' or 'large blue and white checker'."
            f" {vocabulary_text()}",
        ),
    ]
    output_format: str = "glb"
    texture_resolution: Annotated[
        int, Meta(ge=256, le=4096, description="texels along a side of the square texture")
    ] = 1024
    keep_uv: Annotated[
        bool,
        Meta(description="keep the mesh's own texture coordinates, which must lie in 0 to 1 and not over one another"),
    ] = False
    seed: Annotated[Seed, Meta(description="of the noise; the same seed gives the same texture")] = 0


class ProceduralTextToTextureAdapter(WeightFreeModel, TextToTextureModel):
    """Unwraps the mesh and paints it with a procedural material; says what it understood of the words.

    What the mesh had of colours and textures is replaced; `keep_uv` keeps its texture coordinates.
    """

    adapter_id = "procedural-text-to-texture"
    # Measured on a CPU, the worker and all: 0.8 GB at 1024 texels a side, 1.8 GB at 4096.
    default_vram_mb = 2048
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj")
    options_type = TexturingOptions
    needs = ("torch", "numpy", "scipy", "trimesh", "PIL", "xatlas")
    imports = (".painting",)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The prompt is read in full, so a bad one is refused before anything is loaded."""
        super().validate_inputs(inputs)
        understand(inputs["text_prompt"])

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.glb_looks import Paint
        from ...mesh.input import ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.losses import LOOKS, OWN_COLOURS
        from ..unwrapping.layout import NoUnwrap
        from .painting import LIMITS, paint_by_own_uv, paint_scene, replaced, surface_parts

        response: dict[str, Any] = super()._process_request(inputs)
        options = TexturingOptions.read(inputs)
        wanted = understand(options.text_prompt)
        source = self._mesh_path(inputs)
        self.report_progress(0.0, "reading the mesh")
        scene = read_scene(source, LIMITS)
        held = inventory(source, scene)
        try:
            parts = surface_parts(scene)
            painted = (paint_by_own_uv if options.keep_uv else paint_scene)(
                parts,
                wanted,
                options.seed,
                options.texture_resolution,
                self.device,
                self.steps_within(0.05, 0.9),
            )
        except NoUnwrap as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        remade = painted.remade(parts, own_uv=options.keep_uv)
        kept = write_kept(self, response, source, scene, remade, Paint(colour=True, surface=True))
        lost = replaced(scene, options.keep_uv, kept=kept is not None, surface=True)
        if response["output_mesh_path"].endswith(".obj") and painted.facts["roughness_and_metallic"] == "texture":
            lost.append("roughness and metallic vary over the surface: OBJ holds one value")
        response["seed"] = options.seed
        facts = {
            "model": "procedural solid texture",
            "understood": wanted.recognised,
            "ignored_words": wanted.ignored,
            "palette": ["#" + "".join(f"{round(c * 255):02x}" for c in colour) for colour in wanted.palette],
            "metallic": wanted.metallic,
            "roughness": wanted.roughness,
            **painted.facts,
            "ignored": ignored_parts(scene),
            "lost": lost,
            "seed": options.seed,
            "device": self.device,
        }
        if kept is not None:
            return finish_mesh(self, response, "painting_info", facts, (), kept, held, OWN_COLOURS)
        return write_and_finish(self, painted.parts, response, "painting_info", facts, held, LOOKS)
