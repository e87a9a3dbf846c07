"""The options of a request to trellis.cpp, declared once."""

from __future__ import annotations

from typing import Annotated, Literal

from ...authoring.options import ImageFile, ImageFiles, Meta, Options

#: The server reads it with `atoi`, and makes one up in the place of 0.
Seed = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Image = Annotated[ImageFile, Meta(description="an image of the subject: png, jpg or webp")]


class ImageToMeshOptions(Options):
    """The options of `trellis2-cpp-image-to-mesh`. The resolution is the variant's."""

    image_path: Image = None
    image_paths: Annotated[ImageFiles, Meta(description="the same as a list of one")] = None
    output_format: str = "glb"
    #: Upstream's own default.
    seed: Annotated[Seed, Meta(description="the same seed gives the same mesh with the same program and device")] = 42
    bg_removal: Annotated[
        Literal["auto", "birefnet", "threshold"],
        Meta(
            description="how the subject is cut out: auto keeps the image's own transparency, else BiRefNet;"
            " threshold takes what is nearly white for background, highlights too"
        ),
    ] = "auto"
    uv: Annotated[
        Literal["xatlas", "box"], Meta(description="how the surface is unrolled; box is faster and packs less tightly")
    ] = "xatlas"
    band: (
        Annotated[
            int,
            Meta(ge=1, le=8, description="width of the shell that becomes the mesh, voxels; 2 keeps thin walls single"),
        ]
        | None
    ) = None
    texture_format: Annotated[
        Literal["png", "webp"],
        Meta(description="webp is smaller, and many programs cannot read it (EXT_texture_webp)"),
    ] = "png"


class PixelAlignedOptions(ImageToMeshOptions):
    """The options of `pixal3d-cpp-image-to-mesh`."""

    #: Pixal3D's own default; upstream estimates it with a network that is not part of trellis.cpp.
    fov: Annotated[
        float,
        Meta(
            ge=1.0,
            le=150.0,
            description="horizontal field of view of the camera, degrees; a wrong one bends the shape",
        ),
    ] = 49.13
