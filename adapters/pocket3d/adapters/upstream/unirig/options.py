"""The options of a request to UniRig, declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ...authoring.options import Meta, Options, Seed


class UniRigOptions(Options):
    """The options of `unirig-auto-rigging`."""

    mesh_path: Annotated[Any, Meta(description="the mesh: glb, fbx, obj, ply, stl, off")]
    output_format: Annotated[
        str | None, Meta(description="default: that of the input if it is glb or fbx, else glb")
    ] = None
    rig_mode: Annotated[
        Literal["full", "skeleton", "skin"],
        Meta(
            description="full: skeleton and skin; skeleton: bones alone, beside upstream's reduced mesh;"
            " skin: new weights for the skeleton that the mesh has"
        ),
    ] = "full"
    skeleton_template: Annotated[
        Literal["articulationxl", "vroid"],
        Meta(description="articulationxl: any body; vroid: the bones of VRoid characters"),
    ] = "articulationxl"
    faces_target_count: Annotated[
        int,
        Meta(
            ge=1000,
            le=200_000,
            description="faces to which the mesh is reduced for the networks; the result keeps all",
        ),
    ] = 50_000
    seed: Annotated[
        Seed, Meta(description="of sampled points and tokens; the next ones are tried if it leads to no skeleton")
    ] = 12345
