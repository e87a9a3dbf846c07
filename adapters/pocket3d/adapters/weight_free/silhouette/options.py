"""What a request may choose about its photograph."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ...authoring.options import ImageFiles, Meta, Options, Seed
from ...errors import InvalidInput


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
    mask_path: Annotated[
        Any,
        Meta(
            description="an image of the same proportions that says which pixels are the subject, in place of"
            " mask_method: white ones, or where it has transparency those that are not transparent"
        ),
    ] = None
    box: (
        Annotated[
            list[Annotated[float, Meta(ge=0)]],
            Meta(
                min_length=4,
                max_length=4,
                description="[x0, y0, x1, y1] of a box that holds the subject, counted from the upper left corner of"
                " the upright image: in pixels, or as shares of its width and height where no number is above 1",
            ),
        ]
        | None
    ) = None
    depth_scale: Annotated[float, Meta(ge=0.05, le=2.0, description="1 makes a disc a ball, less is flatter")] = 0.6
    resolution: Annotated[int, Meta(ge=48, le=384, description="long side of the grid of mask and mesh, pixels")] = 192
    texture_resolution: Annotated[int, Meta(ge=64, le=4096, description="long side of the texture, pixels")] = 1024
    seed: Annotated[Seed, Meta(description="the same seed gives the same mesh")] = 0

    def __post_init__(self) -> None:
        if self.box is not None:
            left, upper, right, lower = self.box
            if not (left < right and upper < lower and max(self.box) < float("inf")):
                raise InvalidInput(f"box is {self.box}; want [x0, y0, x1, y1] with x0 < x1 and y0 < y1", "box")
