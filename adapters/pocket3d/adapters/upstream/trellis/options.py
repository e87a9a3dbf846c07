"""The options of a request to TRELLIS, declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ...authoring.options import ImageFile, ImageFiles, MeshFile, Meta, Options, Seed

FIRST, SECOND = "sparse_structure", "slat"
_WEIGHTS_SAY = "default: what pipeline.json of the weights says"

Steps = Annotated[int, Meta(ge=1, le=500)]
Strength = Annotated[float, Meta(ge=0.0, le=30.0)]
Prompt = Annotated[str, Meta(min_length=1, description="what to make; upstream's encoder reads the first 77 tokens")]
Image = Annotated[ImageFile, Meta(description="an image of the subject: png, jpg or webp, best without background")]
CutOut = Annotated[
    bool, Meta(description="cut the subject out (its alpha, else rembg) and centre it; false takes the image as is")
]


class TrellisOptions(Options):
    """The options of all its adapters."""

    output_format: str = "glb"
    #: Upstream's own default.
    seed: Annotated[
        Seed, Meta(description="of torch's generator; the same seed gives the same mesh on the same device")
    ] = 42
    slat_steps: Annotated[
        Steps | None,
        Meta(description=f"sampling steps of the second stage, which finds surface and appearance; {_WEIGHTS_SAY}"),
    ] = None
    slat_cfg_strength: Annotated[
        Strength | None, Meta(description=f"strength of the guidance of the second stage; {_WEIGHTS_SAY}")
    ] = None
    texture: Annotated[
        bool, Meta(description="bake a texture (needs CUDA); false, or where that cannot be: vertex colours")
    ] = True
    texture_resolution: Annotated[
        Literal[512, 1024, 2048, 4096], Meta(description="side of the baked texture, pixels")
    ] = 1024

    def sampler(self, stage: str) -> dict[str, Any]:
        """The values that the request gives upstream's `..._sampler_params` of a stage; the weights decide the rest."""
        values = {"steps": f"{stage}_steps", "cfg_strength": f"{stage}_cfg_strength"}
        return {name: value for name, key in values.items() if (value := getattr(self, key)) is not None}


class ShapeOptions(TrellisOptions):
    """The further options of the adapters that make a shape."""

    sparse_structure_steps: Annotated[
        Steps | None,
        Meta(description=f"sampling steps of the first stage, which finds the occupied voxels; {_WEIGHTS_SAY}"),
    ] = None
    sparse_structure_cfg_strength: Annotated[
        Strength | None, Meta(description=f"strength of the guidance of the first stage; {_WEIGHTS_SAY}")
    ] = None
    simplify: Annotated[
        float,
        Meta(
            ge=0.0,
            le=0.99,
            description="share of the triangles to take away before baking; not used with vertex colours",
        ),
    ] = 0.95


class TextToMeshOptions(ShapeOptions, kw_only=True):
    """The options of `trellis-text-to-mesh`."""

    text_prompt: Prompt


class ImageToMeshOptions(ShapeOptions, kw_only=True):
    """The options of `trellis-image-to-mesh`."""

    image_path: Image = None
    image_paths: Annotated[ImageFiles, Meta(description="the same as a list")] = None
    preprocess_image: CutOut = True
    multi_image_mode: Annotated[
        Literal["stochastic", "multidiffusion"],
        Meta(description="several images: each step looks at one in turn, or at the mean of all"),
    ] = "stochastic"


class TextPaintingOptions(TrellisOptions, kw_only=True):
    """The options of `trellis-text-painting`."""

    mesh_path: Annotated[MeshFile, Meta(description="the mesh to paint: glb, obj, ply, stl or off, +Y up")]
    text_prompt: Prompt


class ImagePaintingOptions(TrellisOptions, kw_only=True):
    """The options of `trellis-image-painting`."""

    mesh_path: Annotated[MeshFile, Meta(description="the mesh to paint: glb, obj, ply, stl or off, +Y up")]
    image_path: Image = None
    image_paths: Annotated[ImageFiles, Meta(description="the same as a list of one")] = None
    preprocess_image: CutOut = True
