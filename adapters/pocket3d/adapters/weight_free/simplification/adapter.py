"""`quadric-mesh-simplification` makes a mesh of fewer triangles. No weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ...authoring.mesh_job import finish_mesh, write_and_finish, write_kept
from ...authoring.options import MeshFile, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS, MeshInputModel

_DEFAULT_RATIO = 0.5


class SimplificationOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: str = "glb"
    target_faces: Annotated[int, Meta(ge=4, le=5_000_000, description="triangles wanted in all")] | None = None
    ratio: (
        Annotated[
            float,
            Meta(ge=0.0001, le=1, description="the same as a share of those it has; without either a half"),
        ]
        | None
    ) = None
    keep_texture: Annotated[
        bool,
        Meta(description="texture coordinates stay, and with them the borders of their charts; false: colours only"),
    ] = True
    keep_borders: Annotated[
        bool, Meta(description="open borders stay as they are, so that parts that meet there still do")
    ] = False

    def __post_init__(self) -> None:
        """One of the two."""
        if self.target_faces is not None and self.ratio is not None:
            raise InvalidInput("target_faces and ratio say the same thing; give one of them", "ratio")

    def wanted(self, faces: int) -> int:
        """How many of so many faces are to be left."""
        if self.target_faces is not None:
            return self.target_faces
        return max(round(faces * (_DEFAULT_RATIO if self.ratio is None else self.ratio)), 1)


class QuadricMeshSimplificationAdapter(WeightFreeModel, MeshInputModel):
    """Removes the vertices that its shape misses least; says how far the outcome is from it, and what was lost. It runs
    on the CPU whatever its device.
    """

    adapter_id = "quadric-mesh-simplification"
    default_vram_mb = 2048
    default_feature = "mesh_simplification"
    purpose = "simplification"
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj", "ply", "stl")
    options_type = SimplificationOptions
    needs = ("numpy", "scipy", "trimesh", "PIL", "fast_simplification")
    imports = (".simplify",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.creases import sharpened
        from ...mesh.glb_remade import Remade
        from ...mesh.input import ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.parts import parts_of
        from ...mesh.result import scene_statistics
        from .simplify import LIMITS, METHOD, SOURCE, NoSimplification, simplified

        options = SimplificationOptions.read(inputs)
        source = self._mesh_path(inputs)
        output_format = self._validate_common_inputs(inputs)
        response = self._create_common_response(inputs, output_format)
        self.step(0.0, "reading the mesh")
        scene = read_scene(source, LIMITS)
        held = inventory(source, scene)
        parts = parts_of(scene)
        try:
            made = simplified(
                parts,
                target=options.wanted(sum(len(part.faces) for part in parts)),
                keep_texture=options.keep_texture and output_format in ("glb", "obj"),
                keep_borders=options.keep_borders,
                folder=self.output_dir,
                step=self.steps_within(0.1, 0.85),
                check=self.check_cancelled,
            )
        except NoSimplification as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        glb = Path(response["output_mesh_path"]).suffix == ".glb"
        facts = {
            "model": METHOD,
            "source": SOURCE,
            **made.facts,
            "input_statistics": scene_statistics(scene),
            "ignored": ignored_parts(scene),
        }
        written = [sharpened(part) for part in made.parts] if glb else made.parts
        kept = write_kept(self, response, source, scene, {part.name: Remade(part) for part in written})
        if kept is not None:
            return finish_mesh(self, response, "simplification_info", facts, (), kept, held)
        return write_and_finish(self, written, response, "simplification_info", facts, held)
