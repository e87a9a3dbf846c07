"""`curve-skeleton-auto-rig` gives a mesh a skeleton and skin weights by classical methods. No weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ...authoring.mesh_job import finish_mesh
from ...authoring.options import MeshFile, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...rig_models import AutoRigModel


class CurveSkeletonOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: Annotated[str, Meta(description="of the rigged mesh; fbx needs an adapter that has Blender")] = "glb"
    bone_count: (
        Annotated[
            int,
            Meta(
                ge=3, le=256, description="joints at most, the root included; without it as many as the shape asks for"
            ),
        ]
        | None
    ) = None


class CurveSkeletonAutoRigAdapter(WeightFreeModel, AutoRigModel):
    """Makes bones of the curve skeleton of the fused solid, and weights by bone heat; knows no anatomy.

    Joints are named by where they are (`limb_3_2`), no one of them is called an arm. A limb is what stands out of the
    body; arms held against it are found only where the mesh has a gap wider than about 1/50 of its size. It runs on the
    CPU whatever its device.
    """

    adapter_id = "curve-skeleton-auto-rig"
    default_vram_mb = 1024
    default_input_formats = ("glb", "obj", "ply", "stl", "off")
    default_output_formats = ("glb",)
    options_type = CurveSkeletonOptions
    needs = ("numpy", "scipy", "trimesh", "PIL")
    imports = (".rig",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.input import ignored_parts, read_mesh, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.repair import NoSolid
        from ...mesh.rig_file import read_rig
        from ...mesh.skinned_glb import add_skin
        from .preview import draw_bones, world_glb
        from .rig import METHOD, SOURCES, make_rig

        response: dict[str, Any] = super()._process_request(inputs)
        source = self._mesh_path(inputs)
        self.step(0.01, "reading the mesh")
        scene = read_scene(source)
        held = inventory(source, scene)
        mesh = read_mesh(source)
        try:
            rig = make_rig(mesh, CurveSkeletonOptions.read(inputs).bone_count, self.step)
        except NoSolid as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        self.step(0.8, "binding the mesh")
        target = Path(response["output_mesh_path"])
        target.write_bytes(add_skin(world_glb(scene), rig.skeleton, rig.weights_at))
        self.step(0.9, "reading it again")
        written = read_rig(target, skinned=True)
        preview = self.output_dir / "skeleton_preview.png"
        draw_bones(rig.surface, rig.skeleton).save(preview)
        response["bone_count"] = written.bones
        response["skeleton_preview_path"] = str(preview)
        facts = {
            # Which animal it is, the method does not know.
            "rig_type": "unknown",
            "symmetry": False,
            "method": METHOD,
            "sources": list(SOURCES),
            "bone_count": written.bones,
            "bones_with_vertices": written.moving,
            "max_influences": written.most_influences,
            **rig.facts,
            "input_mesh": source.name,
            "ignored": ignored_parts(scene),
        }
        return finish_mesh(self, response, "rig_info", facts, source=held)
