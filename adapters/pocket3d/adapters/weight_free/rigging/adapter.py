"""`curve-skeleton-auto-rig` gives a mesh a skeleton and skin weights by classical methods. No weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from ...authoring.mesh_job import finish_mesh
from ...authoring.options import MeshFile, Meta, Options
from ...authoring.weight_free import WeightFreeModel
from ...errors import InvalidInput
from ...mesh_models import MESH_FORMATS
from ...rig_models import AutoRigModel


class CurveSkeletonOptions(Options):
    """What a request may say."""

    mesh_path: MeshFile
    output_format: Annotated[str, Meta(description="of the rigged mesh; fbx needs an adapter that has Blender")] = "glb"
    bone_names: Annotated[
        Literal["vrm", "mixamo"], Meta(description="of a humanoid: leftUpperArm as in VRM 1.0, or mixamorig:LeftArm")
    ] = "vrm"
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
    """Makes bones of the curve skeleton of the fused solid, and weights by bone heat.

    The bones of a humanoid, a quadruped and a bird that stands on the ground (+Y up) have the names of VRM 1.0 or like
    them (`leftUpperArm`, `leftFrontUpperLeg`), left and right being the character's own; of anything else they are
    named by where they are (`limb_3_2`). A limb is what stands out of the
    body; arms held against it are found only where the mesh has a gap wider than about 1/50 of its size. It runs on the
    CPU whatever its device.
    """

    adapter_id = "curve-skeleton-auto-rig"
    default_vram_mb = 1024
    default_input_formats = MESH_FORMATS
    default_output_formats = ("glb",)
    options_type = CurveSkeletonOptions
    needs = ("numpy", "scipy", "trimesh", "PIL")
    imports = (".rig",)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.input import glb_bytes_of, ignored_parts, join_parts, read_scene
        from ...mesh.inventory import inventory
        from ...mesh.losses import MOTION
        from ...mesh.repair import NoSolid
        from ...mesh.result import read_again
        from ...mesh.rig_file import read_rig
        from ...mesh.self_check import check_surface, surface_of
        from ...mesh.skinned_copy import skinned_copy
        from ...mesh.skinned_glb import add_skin
        from .preview import draw_bones, world_glb
        from .rig import METHOD, SOURCES, make_rig

        response: dict[str, Any] = super()._process_request(inputs)
        options = CurveSkeletonOptions.read(inputs)
        source = self._mesh_path(inputs)
        self.step(0.01, "reading the mesh")
        scene = read_scene(source)
        held = inventory(source, scene)
        mesh = join_parts(scene, source.name)
        try:
            rig = make_rig(mesh, options.bone_count, self.step, options.bone_names)
        except NoSolid as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        self.step(0.8, "binding the mesh")
        target = Path(response["output_mesh_path"])
        # A file that cannot be kept as it is comes back with its meshes in world coordinates.
        copy = skinned_copy(glb_bytes_of(source), rig.skeleton, rig.weights_at)
        anew = None if copy else add_skin(world_glb(scene), rig.skeleton, rig.weights_at)
        target.write_bytes(copy.data if copy else anew or b"")
        self.step(0.9, "reading it again")
        written = read_rig(target, skinned=True)
        shown = read_again(target)
        check_surface(surface_of(scene, "glb"), surface_of(shown, "glb"), target)
        preview = self.output_dir / "skeleton_preview.png"
        draw_bones(rig.surface, rig.skeleton).save(preview)
        response["bone_count"] = written.bones
        response["skeleton_preview_path"] = str(preview)
        facts = {
            "method": METHOD,
            "sources": list(SOURCES),
            "bone_count": written.bones,
            "bones_with_vertices": written.moving,
            "max_influences": written.most_influences,
            **rig.facts,
            "input_mesh": source.name,
            "lost": copy.lost if copy else [],
            "ignored": ignored_parts(scene),
        }
        return finish_mesh(self, response, "rig_info", facts, (), shown, held, MOTION if copy else ())
