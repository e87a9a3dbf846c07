"""`instant-meshes-retopology` covers a surface anew with even quadrilaterals or triangles. No weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ...authoring.mesh_job import finish_mesh, write_and_finish, write_kept
from ...authoring.options import MeshFile, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS, MeshInputModel


class RetopologyOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: Annotated[
        str, Meta(description="obj holds quadrilaterals; glb holds triangles, and gets an obj beside it")
    ] = "glb"
    target_faces: Annotated[int, Meta(ge=50, le=200_000, description="faces wanted in all; the outcome is near it")] = (
        5000
    )
    polygons: Annotated[Literal["quads", "triangles"], Meta(description="what the new faces are")] = "quads"
    sharp_angle: Annotated[
        float, Meta(ge=1, le=180, description="edges sharper than so many degrees stay where they are; 180: none")
    ] = 30.0
    align_to_borders: Annotated[bool, Meta(description="new edges run along open borders")] = True


class InstantMeshesRetopologyAdapter(WeightFreeModel, MeshInputModel):
    """Covers each part with new faces of one size whose edges follow its shape; says how far the new surface is from
    the old one, and how regular it is. It runs on the CPU whatever its device.
    """

    adapter_id = "instant-meshes-retopology"
    default_vram_mb = 2048
    default_feature = "mesh_retopology"
    purpose = "retopology"
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb", "obj")
    options_type = RetopologyOptions
    needs = ("numpy", "scipy", "trimesh", "PIL", "pynanoinstantmeshes")
    imports = (".remesh",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.creases import sharpened
        from ...mesh.glb_remade import Remade
        from ...mesh.input import ignored_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.parts import parts_of
        from ...mesh.result import scene_statistics
        from ...mesh.write import write_mesh
        from .remesh import LIMITS, METHOD, SOURCE, NoRetopology, remake

        options = RetopologyOptions.read(inputs)
        source = self._mesh_path(inputs)
        response = self._create_common_response(inputs, self._validate_common_inputs(inputs))
        self.step(0.0, "reading the mesh")
        scene = read_scene(source, LIMITS)
        held = inventory(source, scene)
        try:
            made = remake(
                parts_of(scene),
                target=options.target_faces,
                corners=4 if options.polygons == "quads" else 3,
                sharp_angle=options.sharp_angle,
                borders=options.align_to_borders,
                folder=self.output_dir,
                step=self.steps_within(0.1, 0.85),
                check=self.check_cancelled,
            )
        except NoRetopology as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        target = Path(response["output_mesh_path"])
        parts = made.parts
        if target.suffix == ".glb":
            parts = [sharpened(part) for part in parts]
            if options.polygons == "quads":
                quads = target.with_name(f"{target.stem}_quads.obj")
                response["quad_mesh_path"] = str(quads)
                response["extra_paths"] = [str(each) for each in write_mesh(made.parts, quads)]
        kept = write_kept(self, response, source, scene, {part.name: Remade(part) for part in parts})
        facts = {
            "model": METHOD,
            "source": SOURCE,
            "polygons": options.polygons,
            **made.facts,
            "input_statistics": scene_statistics(scene),
            "ignored": ignored_parts(scene),
        }
        if kept is not None:
            return finish_mesh(self, response, "retopology_info", facts, (), kept, held)
        return write_and_finish(self, parts, response, "retopology_info", facts, held)
