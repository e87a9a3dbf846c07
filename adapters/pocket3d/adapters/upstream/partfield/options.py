"""The options of a request to PartField, declared once."""

from __future__ import annotations

from typing import Annotated, Literal

from ...authoring.options import MeshFile, Meta, Options, Seed


class PartFieldOptions(Options):
    """The options of `partfield-segmentation`."""

    mesh_path: MeshFile
    output_format: str = "glb"
    num_parts: Annotated[int, Meta(ge=1, le=1000, description="how many parts to make")] = 8
    method: Annotated[
        Literal["agglomerative", "kmeans"],
        Meta(description="agglomerative: parts are connected in the face graph; kmeans: by features alone"),
    ] = "agglomerative"
    bridge: Annotated[
        Literal["faces", "components"],
        Meta(
            description="agglomerative, for meshes of several pieces: how these are joined to one graph; by"
            " their nearest faces, or by the faces at their centres"
        ),
    ] = "faces"
    points_per_face: Annotated[
        int,
        Meta(ge=1, le=2000, description="points on each face over which the feature is averaged; fewer are faster"),
    ] = 1000
    seed: Annotated[Seed, Meta(description="of the sampled points, and of k-means")] = 0
