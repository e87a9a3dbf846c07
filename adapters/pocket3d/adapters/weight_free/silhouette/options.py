"""What a request may choose about its photograph."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ...authoring.options import ImageFiles, Meta, Options, Seed


class PhotoOptions(Options):
    """One request's photograph, and how it is made a solid."""

    image_path: Annotated[Any, Meta(description="a photograph of one subject: png, jpg or webp")] = None
    image_paths: ImageFiles = None
    output_format: str = "glb"
    mask_method: Annotated[
        Literal["auto", "alpha", "grabcut", "grabcut-centre"],
        Meta(
            description="auto: the alpha channel if it says anything, else grabcut; grabcut-centre suits a subject that"
            " fills the frame"
        ),
    ] = "auto"
    depth_scale: Annotated[float, Meta(ge=0.05, le=2.0, description="1 makes a disc a ball, less is flatter")] = 0.6
    resolution: Annotated[int, Meta(ge=48, le=384, description="long side of the grid of mask and mesh, pixels")] = 192
    texture_resolution: Annotated[int, Meta(ge=64, le=4096, description="long side of the texture, pixels")] = 1024
    seed: Annotated[Seed, Meta(description="the same seed gives the same mesh")] = 0
