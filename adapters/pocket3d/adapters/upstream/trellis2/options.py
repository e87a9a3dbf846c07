"""The options of a request to TRELLIS.2, declared once. Defaults are those of upstream's web demo (`app.py`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ...authoring.options import ImageFile, ImageFiles, MeshFile, Meta, Options, Seed

#: The samplers, in the order in which they run.
STRUCTURE, SHAPE, TEXTURE = "sparse_structure", "shape_slat", "tex_slat"
_WEIGHTS_SAY = "default: what the weights' pipeline.json says"

Steps = Annotated[int, Meta(ge=1, le=200)]
Strength = Annotated[float, Meta(ge=0.0, le=30.0)]
Side = Annotated[Literal[512, 1024, 2048, 4096], Meta(description="side of the baked textures, pixels")]


class Trellis2Options(Options):
    """The options of both adapters."""

    image_path: Annotated[
        ImageFile, Meta(description="an image of the subject: png, jpg or webp, best without background")
    ] = None
    image_paths: ImageFiles = None
    output_format: str = "glb"
    seed: Annotated[
        Seed, Meta(description="of torch's generator; the same seed gives the same mesh on the same device")
    ] = 42
    preprocess_image: Annotated[
        bool, Meta(description="cut the subject out (its alpha, else BiRefNet) and crop to it; false takes it as is")
    ] = True
    texture_resolution: Side = 2048
    tex_slat_steps: Annotated[Steps | None, Meta(description=f"sampling steps of the material; {_WEIGHTS_SAY}")] = None
    tex_slat_guidance: Annotated[
        Strength | None, Meta(description=f"strength of the guidance of the material; {_WEIGHTS_SAY}")
    ] = None

    def sampler(self, stage: str) -> dict[str, Any]:
        """The values that the request gives upstream's `..._sampler_params` of a stage; the weights decide the rest."""
        values = {"steps": f"{stage}_steps", "guidance_strength": f"{stage}_guidance"}
        return {name: value for name, key in values.items() if (value := getattr(self, key)) is not None}


class Trellis2ImageToMeshOptions(Trellis2Options):
    """The options of `trellis2-image-to-mesh`."""

    sparse_structure_steps: Annotated[
        Steps | None, Meta(description=f"sampling steps of the occupied voxels; {_WEIGHTS_SAY}")
    ] = None
    sparse_structure_guidance: Annotated[
        Strength | None, Meta(description=f"strength of the guidance of the occupied voxels; {_WEIGHTS_SAY}")
    ] = None
    shape_slat_steps: Annotated[Steps | None, Meta(description=f"sampling steps of the shape; {_WEIGHTS_SAY}")] = None
    shape_slat_guidance: Annotated[
        Strength | None, Meta(description=f"strength of the guidance of the shape; {_WEIGHTS_SAY}")
    ] = None
    max_num_tokens: Annotated[
        int,
        Meta(ge=4096, le=1_000_000, description="voxels that a cascade may sample; beyond it its resolution falls"),
    ] = 49_152
    texture: Annotated[
        bool, Meta(description="bake colour, metalness and roughness into textures; false: vertex colours")
    ] = True
    decimation_target: Annotated[int, Meta(ge=1000, le=16_000_000, description="triangles to keep, about")] = 500_000
    remesh: Annotated[
        bool, Meta(description="make the surface anew as a closed one before baking; false keeps open surfaces")
    ] = True


class Trellis2PaintingOptions(Trellis2Options, kw_only=True):
    """The options of `trellis2-image-painting`."""

    mesh_path: MeshFile
    resolution: Annotated[
        Literal[512, 1024, 1536], Meta(description="voxels along a side, in which the material is found")
    ] = 1024
