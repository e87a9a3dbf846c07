"""TRELLIS.2 behind the system's interface: an image to a mesh with a physical material, and the material of an image
onto a given mesh.

Upstream is microsoft/TRELLIS.2 at 5565d24. What of this ran for real here: our own parts, the textures' rasteriser
among them, against a stand-in with upstream's names and parameters. What did not: anything of upstream's; its packages
need CUDA.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...errors import InvalidInput
from ...mesh_models import ImageToMeshModel
from ...texture_models import ImageToTextureModel
from . import weights
from .family import EXPORT, Trellis2Adapter, Trellis2Config
from .options import (
    RESOLUTIONS,
    SHAPE,
    STRUCTURE,
    TEXTURE,
    Trellis2ImageToMeshOptions,
    Trellis2PaintingOptions,
)


class Trellis2ImageToMeshAdapter(Trellis2Adapter, ImageToMeshModel):
    """`trellis2-image-to-mesh`: one image in, a mesh with colour, metalness and roughness out."""

    adapter_id: ClassVar[str] = "trellis2-image-to-mesh"
    options_type = Trellis2ImageToMeshOptions
    pipeline_name: ClassVar[str] = "Trellis2ImageTo3DPipeline"
    pipeline_file: ClassVar[str] = "pipeline.json"
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

    def get_parameter_schema(self) -> dict[str, Any] | None:
        """With the resolutions that this host offers."""
        schema = super().get_parameter_schema()
        assert schema is not None, "there is an options_type"
        schema["properties"]["resolution"]["enum"] = list(self.config.resolutions)
        return schema

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """Besides, a resolution that this host offers."""
        super().validate_inputs(inputs)
        wanted = inputs.get("resolution")
        if wanted is not None and wanted not in self.config.resolutions:
            raise InvalidInput(
                f"resolution is {wanted!r}; want one of {', '.join(self.config.resolutions)}", "resolution"
            )

    def _models(self) -> tuple[str, ...]:
        return weights.models_for(self.config.resolutions)

    def _resolution(self, options: Trellis2ImageToMeshOptions) -> str:
        """The request's, else the weights' own, else the largest that this host offers."""
        offered = self.config.resolutions
        usual = str(self.model.default_pipeline_type)
        return options.resolution or (usual if usual in offered else max(offered, key=RESOLUTIONS.index))

    def _runs(self, options: Trellis2ImageToMeshOptions, stage: str) -> int:
        return 2 if stage == SHAPE and self._resolution(options).endswith("_cascade") else 1

    def _make(self, image: Any, options: Trellis2ImageToMeshOptions, inputs: dict[str, Any]) -> Any:
        from . import export

        [mesh] = self.model.run(
            image,
            num_samples=1,
            seed=options.seed,
            sparse_structure_sampler_params=options.sampler(STRUCTURE),
            shape_slat_sampler_params=options.sampler(SHAPE),
            tex_slat_sampler_params=options.sampler(TEXTURE),
            preprocess_image=options.preprocess_image,
            pipeline_type=self._resolution(options),
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
            "resolution": self._resolution(options),
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

    def _make(self, image: Any, options: Trellis2PaintingOptions, inputs: dict[str, Any]) -> Any:
        from ...mesh.input import read_mesh
        from . import export

        given = read_mesh(self._mesh_path(inputs))
        low, high = given.bounds
        if not (high - low).max() > 0:
            raise InvalidInput("the mesh has no extent", "mesh_path")
        painted = self.model.run(
            given,
            image,
            seed=options.seed,
            tex_slat_sampler_params=options.sampler(TEXTURE),
            preprocess_image=options.preprocess_image,
            resolution=options.resolution,
            texture_size=options.texture_resolution,
        )
        return export.put_back(painted, given)

    def _facts(self, options: Trellis2PaintingOptions) -> dict[str, Any]:
        return {
            "resolution": options.resolution,
            "colour": "baked textures",
            "texture_resolution": options.texture_resolution,
        }


__all__ = ["Trellis2Config", "Trellis2ImageToMeshAdapter", "Trellis2PaintingAdapter"]
