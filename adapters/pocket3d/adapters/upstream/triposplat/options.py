"""The options of a request to TripoSplat. Defaults and ranges are upstream's own (`TripoSplatPipeline.run`)."""

from __future__ import annotations

from typing import Annotated

from ...authoring.options import ImageFile, ImageFiles, Meta, Options, Seed

#: Upstream's `_NUM_GAUSSIANS_MIN` and `_NUM_GAUSSIANS_MAX`.
FEWEST, MOST = 32_768, 262_144


class TripoSplatOptions(Options):
    """The options of `triposplat-image-to-splat`."""

    image_path: Annotated[
        ImageFile, Meta(description="an image of the subject: png, jpg or webp, best without background")
    ] = None
    image_paths: ImageFiles = None
    output_format: Annotated[
        str, Meta(description="ply has all that was made; splat is half as large, colours and rotations in 8 bits")
    ] = "ply"
    seed: Annotated[
        Seed, Meta(description="of torch's generators; the same seed gives the same file on the same device")
    ] = 42
    num_gaussians: Annotated[
        int,
        Meta(ge=FEWEST, le=MOST, description="how many Gaussians to make; upstream rounds it to a multiple of 32"),
    ] = MOST
    steps: Annotated[int, Meta(ge=1, le=200, description="sampling steps; upstream recommends 10 to 20")] = 20
    guidance_scale: Annotated[
        float, Meta(ge=0.0, le=30.0, description="strength of the guidance; 1 and less turns it off: half the time")
    ] = 3.0
    shift: Annotated[
        float, Meta(ge=1.0, le=10.0, description="more than 1 puts more of the steps where there is most noise")
    ] = 3.0
    erode_radius: Annotated[
        int, Meta(ge=0, le=32, description="pixels by which the cut-out subject is made smaller, against seams")
    ] = 1
