"""TRELLIS.2 behind the system's interface: an image to a mesh with a physical material, and the material of an image
onto a given mesh.

Upstream is microsoft/TRELLIS.2 at 5565d24. What of this ran for real here: our own parts, the textures' rasteriser
among them, against a stand-in with upstream's names and parameters. What did not: anything of upstream's; its packages
need CUDA.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ...base import Variant
from ...errors import InvalidInput
from ...mesh_models import ImageToMeshModel
from ...texture_models import ImageToTextureModel
from . import weights
from .family import EXPORT, Trellis2Adapter, Trellis2Config
from .options import (
    SHAPE,
    STRUCTURE,
    TEXTURE,
    Trellis2ImageToMeshOptions,
    Trellis2PaintingOptions,
)

if TYPE_CHECKING:
    from ..mesh_file import Given


class Trellis2ImageToMeshAdapter(Trellis2Adapter, ImageToMeshModel):
    """`trellis2-image-to-mesh`: one image in, a mesh with colour, metalness and roughness out.

    Its variants are upstream's pipeline types: voxels along a side; a cascade finds the shape at 512 first.
    """

    adapter_id: ClassVar[str] = "trellis2-image-to-mesh"
    options_type = Trellis2ImageToMeshOptions
    pipeline_name: ClassVar[str] = "Trellis2ImageTo3DPipeline"
    pipeline_file: ClassVar[str] = "pipeline.json"
    #: What others state, with `low_vram`; nothing of it was measured here.
    variants: Sequence[Variant] = (
        # 10 to 11 GB on an RTX 5070 of 12 GB (SDaniel0210/AI_workflows, which does not say at which resolution).
        Variant(name="512", vram_mb=11264, quality=1),
        # What upstream's README calls necessary. 3DAIGC-API books 20.5 GB.
        Variant(name="1024", vram_mb=24576, quality=2),
        Variant(name="1024_cascade", vram_mb=24576, quality=3),
        # About 32 GB (Saganaki22/Pixal3D-ComfyUI, of Pixal3D, which runs on the same code).
        Variant(name="1536_cascade", vram_mb=32768, quality=4),
    )
    default_max_images: ClassVar[int] = 1
    stages: ClassVar[dict[str, tuple[str, float, float]]] = {
        STRUCTURE: ("structure", 0.06, 0.20),
        SHAPE: ("shape", 0.20, 0.50),
        TEXTURE: ("material", 0.50, 0.72),
    }
    calls: ClassVar[dict[str, tuple[float, str]]] = {
        "preprocess_image": (0.02, "cutting out the subject"),
        "get_cond": (0.04, "encoding the image"),
        "decode_shape_slat": (0.73, "decoding the shape"),
        "decode_tex_slat": (0.77, "decoding the material"),
    }

    def _models(self) -> tuple[str, ...]:
        return weights.models_for(str(self.variant))

    def _runs(self, options: Trellis2ImageToMeshOptions, stage: str) -> int:
        return 2 if stage == SHAPE and str(self.variant).endswith("_cascade") else 1

    def _make(self, image: Any, options: Trellis2ImageToMeshOptions, given: Given | None) -> Any:
        from . import export

        [mesh] = self.model.run(
            image,
            num_samples=1,
            seed=options.seed,
            sparse_structure_sampler_params=options.sampler(STRUCTURE),
            shape_slat_sampler_params=options.sampler(SHAPE),
            tex_slat_sampler_params=options.sampler(TEXTURE),
            preprocess_image=options.preprocess_image,
            pipeline_type=self.variant,
            max_num_tokens=options.max_num_tokens,
        )
        export.check(mesh)
        if not options.texture:
            self.step(EXPORT.start, "simplifying the mesh")
            return export.with_vertex_colours(mesh, options.decimation_target)
        self.step(EXPORT.start, "baking the textures")
        return export.bake(
            mesh,
            triangles=options.decimation_target,
            texture_size=options.texture_resolution,
            remesh=options.remesh,
            report=self._baking,
        )

    def _facts(self, options: Trellis2ImageToMeshOptions) -> dict[str, Any]:
        return {
            "resolution": self.variant,
            "colour": "baked textures" if options.texture else "vertex colours",
            **({"texture_resolution": options.texture_resolution} if options.texture else {}),
        }


class Trellis2PaintingAdapter(Trellis2Adapter, ImageToTextureModel):
    """`trellis2-image-painting`: a mesh and an image in, the same shape in new textures out."""

    adapter_id: ClassVar[str] = "trellis2-image-painting"
    options_type = Trellis2PaintingOptions
    info: ClassVar[str] = "painting_info"
    pipeline_name: ClassVar[str] = "Trellis2TexturingPipeline"
    pipeline_file: ClassVar[str] = "texturing_pipeline.json"
    max_images: ClassVar[int] = 1
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")
    stages: ClassVar[dict[str, tuple[str, float, float]]] = {TEXTURE: ("material", 0.20, 0.72)}
    calls: ClassVar[dict[str, tuple[float, str]]] = {
        "preprocess_image": (0.02, "cutting out the subject"),
        "get_cond": (0.04, "encoding the image"),
        "encode_shape_slat": (0.08, "encoding the mesh"),
        "decode_tex_slat": (0.74, "decoding the material"),
        "postprocess_mesh": (EXPORT.start, "baking the textures"),
    }

    def _models(self) -> tuple[str, ...]:
        return weights.PAINTING_MODELS

    def _runs(self, options: Trellis2PaintingOptions, stage: str) -> int:
        return 1

    def _given(self, inputs: dict[str, Any]) -> Given | None:
        from ..mesh_file import read_given

        found = read_given(self._mesh_path(inputs))
        low, high = found.mesh.bounds
        if not (high - low).max() > 0:
            raise InvalidInput("the mesh has no extent", "mesh_path")
        return found

    def _make(self, image: Any, options: Trellis2PaintingOptions, given: Given | None) -> Any:
        from . import export

        assert given is not None, "a request to paint names a mesh"
        painted = self.model.run(
            given.mesh,
            image,
            seed=options.seed,
            tex_slat_sampler_params=options.sampler(TEXTURE),
            preprocess_image=options.preprocess_image,
            resolution=options.resolution,
            texture_size=options.texture_resolution,
        )
        return export.put_back(painted, given.mesh)

    def _facts(self, options: Trellis2PaintingOptions) -> dict[str, Any]:
        return {
            "resolution": options.resolution,
            "colour": "baked textures",
            "texture_resolution": options.texture_resolution,
        }


__all__ = ["Trellis2Config", "Trellis2ImageToMeshAdapter", "Trellis2PaintingAdapter"]
