"""`xatlas-uv-unwrapping` gives a mesh texture coordinates. No weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ...authoring.mesh_job import finish_mesh, write_and_finish, write_kept
from ...authoring.options import MeshFile, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS, MeshInputModel


class UnwrappingOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: str = "glb"
    texture_resolution: Annotated[
        int,
        Meta(ge=256, le=4096, description="texels along a side of the texture for which it is laid out"),
    ] = 1024
    padding: Annotated[int, Meta(ge=0, le=64, description="texels between charts")] = 4
    allowed_stretch: Annotated[
        float, Meta(ge=0.1, le=16, description="less: more charts that are distorted less (xatlas' max_cost)")
    ] = 2.0


class XatlasUvUnwrappingAdapter(WeightFreeModel, MeshInputModel):
    """Cuts the surface into charts, lays them out in one texture without overlaps, and moves the old texture there.

    It says how many charts there are and how much they are distorted.

    Args:
        max_faces: larger meshes are refused: xatlas takes about a quarter of a millisecond a face, and more where the
            surface is rough.
        options: see `WeightFreeModel`.
    """

    adapter_id = "xatlas-uv-unwrapping"
    default_vram_mb = 2048
    default_feature = "uv_unwrapping"
    purpose = "UV unwrapping"
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj")
    options_type = UnwrappingOptions
    needs = ("torch", "numpy", "scipy", "trimesh", "PIL", "xatlas")
    imports = (".unwrap",)

    def __init__(
        self,
        model_id: str | None = None,
        vram_requirement: int | None = None,
        max_concurrent: int | None = None,
        feature_type: str | None = None,
        max_faces: int = 200_000,
    ) -> None:
        super().__init__(model_id, vram_requirement, max_concurrent, feature_type)
        self.max_faces = max_faces

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from PIL import Image

        from ...mesh.glb_looks import Paint
        from ...mesh.glb_remade import Remade
        from ...mesh.input import MeshLimits, ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.parts import parts_of, with_alpha
        from ...mesh.result import scene_statistics
        from .layout import NoUnwrap
        from .unwrap import METHOD, unwrapped

        options = UnwrappingOptions.read(inputs)
        source = self._mesh_path(inputs)
        response = self._create_common_response(inputs, self._validate_common_inputs(inputs))
        self.step(0.0, "reading the mesh")
        scene = read_scene(source, MeshLimits(max_faces=self.max_faces, max_vertices=3 * self.max_faces))
        held = inventory(source, scene)
        glb = Path(response["output_mesh_path"]).suffix == ".glb"
        parts = with_alpha(scene, parts_of(scene)) if glb else parts_of(scene)
        try:
            made = unwrapped(
                parts,
                resolution=options.texture_resolution,
                padding=options.padding,
                allowed_stretch=options.allowed_stretch,
                device=self.device,
                folder=self.output_dir,
                step=self.steps_within(0.1, 0.85),
                check=self.check_cancelled,
            )
        except NoUnwrap as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        layout = self.output_dir / "uv_layout.png"
        Image.fromarray(made.picture).save(layout, format="PNG", optimize=True)
        response["uv_layout_path"] = str(layout)
        pairs = zip(made.parts, made.sources, strict=True)
        remade = {part.name: Remade(part, vertices, new_uv=True) for part, vertices in pairs}
        kept = write_kept(self, response, source, scene, remade, Paint())
        facts = {
            "model": METHOD,
            **made.facts,
            "input_statistics": scene_statistics(scene),
            "ignored": ignored_parts(scene),
        }
        if kept is not None:
            return finish_mesh(self, response, "unwrapping_info", facts, (), kept, held)
        return write_and_finish(self, made.parts, response, "unwrapping_info", facts, held)
