"""The options of a request to Hunyuan3D, declared once."""

from __future__ import annotations

from typing import Annotated, Literal

from ...authoring.options import ImageFile, ImageFiles, MeshFile, Meta, Options, Seed
from ...errors import InvalidInput

_FEWEST_FACES, _MOST_FACES = 100, 5_000_000

Image = Annotated[
    ImageFile, Meta(description="an image of the subject: png, jpg or webp; its background is removed if opaque")
]
OneImage = Annotated[ImageFiles, Meta(description="the same as a list of one")]


class ShapeOptions(Options):
    """The options of the adapters that make a shape. Where they are configured so, the defaults of `texture` and
    `num_inference_steps` are others.
    """

    output_format: Annotated[str, Meta(description="ply has no place for a texture")] = "glb"
    texture: Annotated[bool, Meta(description="paint the mesh with the image")] | None = None
    #: The former system's, so that its clients get what they got.
    seed: Annotated[
        Seed, Meta(description="of torch's generator; the same seed gives the same mesh on the same device")
    ] = 12345
    num_inference_steps: (
        Annotated[int, Meta(ge=1, le=200, description="steps of the shape's sampler; 5 are enough for turbo weights")]
        | None
    ) = None
    guidance_scale: Annotated[float, Meta(ge=0.0, le=30.0, description="how closely the shape follows the image")] = 5.0
    octree_resolution: Annotated[
        int, Meta(ge=16, le=768, description="grid cells along a side; time and memory grow with its cube")
    ] = 380
    num_chunks: Annotated[
        int, Meta(ge=500, le=500_000, description="grid points that are decoded at once; fewer take less VRAM")
    ] = 20_000
    #: The default is upstream's FaceReducer's own.
    max_faces: Annotated[
        int,
        Meta(
            ge=0,
            le=_MOST_FACES,
            description="triangles to which the mesh is reduced (quadric edge collapse); 0 keeps all, or with a"
            " texture as many as are painted at most",
        ),
    ] = 40_000

    def __post_init__(self) -> None:
        if 0 < self.max_faces < _FEWEST_FACES:
            raise InvalidInput(
                f"max_faces is {self.max_faces}; want 0 (all) or {_FEWEST_FACES} to {_MOST_FACES}", "max_faces"
            )


class ImageToMeshOptions(ShapeOptions):
    """The options of `hunyuan3d-image-to-mesh` and `hunyuan3d-2.1-image-to-mesh`."""

    image_path: Image = None
    image_paths: OneImage = None


class TextToMeshOptions(ShapeOptions, kw_only=True):
    """The options of `hunyuan3d-text-to-mesh`."""

    text_prompt: Annotated[str, Meta(min_length=1, max_length=1000, description="the thing to make")]


class PaintingOptions(Options):
    """The options of `hunyuan3d-painting`."""

    mesh_path: Annotated[MeshFile, Meta(description="the mesh to paint: glb, obj, ply, stl or off, +Y up")]
    image_path: Image = None
    image_paths: OneImage = None
    output_format: Annotated[str, Meta(description="format of the painted mesh")] = "glb"


class Painting21Options(PaintingOptions):
    """The options of `hunyuan3d-2.1-painting`."""

    max_num_view: Annotated[int, Meta(ge=6, le=9, description="views that are painted")] = 6
    resolution: Annotated[Literal[512, 768], Meta(description="pixels of a side of each view")] = 512
    remesh: Annotated[
        bool, Meta(description="let upstream reduce and mend the mesh first; false keeps its triangles")
    ] = True
