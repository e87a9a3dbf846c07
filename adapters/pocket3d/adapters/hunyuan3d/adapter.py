"""Tencent's Hunyuan3D 2.0 and 2.1: an image or a text to a mesh, and an image onto a given mesh.

Meshes have +Y up and face +Z, in a cube of [-1.01, 1.01], as upstream makes them; no scale is meant by that.

What ran for real here: the shape pipeline of `hy3dgen` 2.0.2 as PyPI has it (loading, sampling, decoding, clean-up,
progress, cancel, seeds), and a diffusers pipeline as the text-to-image stage, on a CPU with tiny random weights
(tests/models). What did not: the released weights and so any quality, half precision on CUDA, FlashVDM, VRAM, painting
(it needs CUDA and compiled code), all of 2.1, rembg's network. The VRAM defaults are the former system's measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import whole_number
from ..licenses import License
from ..mesh_models import ImageToMeshModel, TextToMeshModel
from ..texture_models import ImageToTextureModel
from . import parameters, text_to_image
from .family import NO_TEXTURE_FORMATS, TERRITORY, Hunyuan3DAdapter
from .painting import PaintSettings
from .parameters import IMAGE, PROMPT
from .shape import ShapeSettings
from .text_to_image import ImageSettings
from .versions import V21, Version
from .weights import Source

_MESH_FILE: dict[str, Any] = {"description": "the mesh to paint: glb, obj, ply, stl or off, +Y up"}
_VIEWS = (6, 9)
_RESOLUTIONS = (512, 768)
_LICENSE_21 = License(
    code="Tencent Hunyuan 3D 2.1 Community License",
    weights="Tencent Hunyuan 3D 2.1 Community License",
    territory=TERRITORY,
    url="https://huggingface.co/tencent/Hunyuan3D-2.1/blob/main/LICENSE",
    requires_acceptance=True,
)


class Hunyuan3DImageToMeshAdapter(Hunyuan3DAdapter, ImageToMeshModel):
    """`hunyuan3d-image-to-mesh`: an image in, a raw or textured mesh out.

    Args:
        model_id: its name.
        model_path: a folder that holds `subfolder`, or a repository on the hub; by default upstream's, looked for
            below `$HY3DGEN_MODELS` (or ~/.cache/hy3dgen) and in the hub's cache.
        vram_requirement: MB; by default what the former system measured, raw or textured.
        max_concurrent: requests taken at once; the model works on one after the other.
        hunyuan3d_root: a checkout of upstream; not needed where its package is installed.
        texture: load the painting model too; requests may then do without.
        subfolder: which shape model (`hunyuan3d-dit-v2-0-turbo`, or `hunyuan3d-dit-v2-mini-turbo` of Hunyuan3D-2mini).
        num_inference_steps: default of requests.
        background_remover: dotted path of a class whose objects take an image and give it back with a transparent
            background; by default upstream's, which uses rembg. `none`: opaque images are refused.
        dtype: `float16`, `bfloat16` or `float32`; by default half precision on CUDA.
        flashvdm: upstream's faster decoder.
        download: weights that are not here may be fetched at load.
        feature_type: `image_to_mesh`.
        supported_output_formats: of glb, obj and ply.
        dino_path: for painting with 2.1: DINOv2 giant, a folder or a repository.
        upscaler_path: for painting with 2.1: RealESRGAN_x4plus.pth; by default in `hunyuan3d_root`.
    """

    adapter_id: ClassVar[str] = "hunyuan3d-image-to-mesh"
    vram_raw: ClassVar[int] = 5120
    vram_textured: ClassVar[int] = 14336
    default_output_formats: ClassVar[tuple[str, ...]] = NO_TEXTURE_FORMATS

    def __init__(
        self,
        model_id: str | None = None,
        model_path: str | Path | None = None,
        vram_requirement: int | None = None,
        max_concurrent: int = 1,
        hunyuan3d_root: str | Path | None = None,
        texture: bool = False,
        subfolder: str | None = None,
        num_inference_steps: int = 50,
        background_remover: str | None = None,
        dtype: str | None = None,
        flashvdm: bool = False,
        download: bool = False,
        feature_type: str | None = None,
        supported_output_formats: Sequence[str] | None = None,
        dino_path: str | Path | None = None,
        upscaler_path: str | Path | None = None,
    ) -> None:
        needed = self.vram_textured if texture else self.vram_raw
        super().__init__(
            model_id=model_id or self.adapter_id,
            model_path=model_path,
            vram_requirement=needed if vram_requirement is None else vram_requirement,
            max_concurrent=max_concurrent,
            feature_type=feature_type,
            supported_output_formats=supported_output_formats,
            max_images=1,
        )
        self._steps = num_inference_steps
        self._configure(
            hunyuan3d_root=hunyuan3d_root,
            subfolder=subfolder,
            texture=texture,
            shapes=True,
            background_remover=background_remover,
            dtype=dtype,
            flashvdm=flashvdm,
            download=download,
            dino_path=dino_path,
            upscaler_path=upscaler_path,
        )

    def get_parameter_schema(self) -> dict[str, Any]:
        """The image and the options."""
        return parameters.shape_schema(
            IMAGE, [], self.supported_output_formats, steps=self._steps, can_paint=self.texture
        )

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The image's name and every option."""
        super().validate_inputs(inputs)
        parameters.read_shape(inputs, self._steps)
        parameters.read_texture(inputs, self._validate_common_inputs(inputs), can_paint=self.texture)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        settings = parameters.read_shape(inputs, self._steps)
        paint = parameters.read_texture(inputs, self._validate_common_inputs(inputs), can_paint=self.texture)
        with self._my_turn():
            self._tell(0.01, "reading the image")
            picture = self._picture(inputs, self._image_paths(inputs)[0])
            mesh = self._shape(picture.image, settings, 0.05, 0.5 if paint else 0.94)
            if paint:
                mesh = self._paint(mesh, picture.image, PaintSettings(), 0.5, 0.94)
        response["seed"] = settings.seed
        facts = {**_facts(settings, self._subfolder), "background": picture.source, "has_texture": paint}
        return self._finish(mesh, response, "generation_info", facts)


class Hunyuan3D21ImageToMeshAdapter(Hunyuan3DImageToMeshAdapter):
    """`hunyuan3d-2.1-image-to-mesh`: the same with Hunyuan3D 2.1. For the arguments see there."""

    version: ClassVar[Version] = V21
    adapter_id: ClassVar[str] = "hunyuan3d-2.1-image-to-mesh"
    vram_raw: ClassVar[int] = 8192
    vram_textured: ClassVar[int] = 19456
    license_info: ClassVar[License | None] = _LICENSE_21


class Hunyuan3DTextToMeshAdapter(Hunyuan3DAdapter, TextToMeshModel):
    """`hunyuan3d-text-to-mesh`: a prompt to an image by any text-to-image model of diffusers, then as with an image.

    The default of `vram_requirement` is the guide's: nobody measured this pair. The text-to-image model stays in the
    host's memory and its parts are moved to the GPU only while they work, unless `text_to_image_offload` is off.

    Args:
        model_id: its name.
        model_path: as for `Hunyuan3DImageToMeshAdapter`, and so all that is not named here.
        vram_requirement: MB.
        max_concurrent: requests taken at once.
        hunyuan3d_root: a checkout.
        texture: load the painting model too.
        subfolder: which shape model.
        num_inference_steps: default of requests, for the shape.
        background_remover: the image that is made has a background, so `none` refuses everything.
        dtype: of all models.
        flashvdm: upstream's faster decoder.
        download: weights that are not here may be fetched at load.
        feature_type: `text_to_mesh`.
        supported_output_formats: of glb, obj and ply.
        text_to_image_model: a diffusers folder, or a repository on the hub.
        text_to_image_steps: of its sampler.
        text_to_image_guidance: its guidance scale.
        text_to_image_size: pixels of a side.
        text_to_image_offload: see above.
        prompt_suffix: put after each prompt, so that the picture shows one thing that can be cut out.
        negative_prompt: what pictures shall not show.
    """

    adapter_id: ClassVar[str] = "hunyuan3d-text-to-mesh"
    vram_raw: ClassVar[int] = 12288
    vram_textured: ClassVar[int] = 14336
    default_output_formats: ClassVar[tuple[str, ...]] = NO_TEXTURE_FORMATS

    def __init__(
        self,
        model_id: str | None = None,
        model_path: str | Path | None = None,
        vram_requirement: int | None = None,
        max_concurrent: int = 1,
        hunyuan3d_root: str | Path | None = None,
        texture: bool = False,
        subfolder: str | None = None,
        num_inference_steps: int = 50,
        background_remover: str | None = None,
        dtype: str | None = None,
        flashvdm: bool = False,
        download: bool = False,
        feature_type: str | None = None,
        supported_output_formats: Sequence[str] | None = None,
        text_to_image_model: str | Path | None = None,
        text_to_image_steps: int = 25,
        text_to_image_guidance: float = 5.0,
        text_to_image_size: int = 1024,
        text_to_image_offload: bool = True,
        prompt_suffix: str = text_to_image.PROMPT_SUFFIX,
        negative_prompt: str = text_to_image.NEGATIVE_PROMPT,
    ) -> None:
        needed = self.vram_textured if texture else self.vram_raw
        super().__init__(
            model_id=model_id or self.adapter_id,
            model_path=model_path,
            vram_requirement=needed if vram_requirement is None else vram_requirement,
            max_concurrent=max_concurrent,
            feature_type=feature_type,
            supported_output_formats=supported_output_formats,
        )
        self._steps = num_inference_steps
        self._configure(
            hunyuan3d_root=hunyuan3d_root,
            subfolder=subfolder,
            texture=texture,
            shapes=True,
            background_remover=background_remover,
            dtype=dtype,
            flashvdm=flashvdm,
            download=download,
        )
        images = None if text_to_image_model is None else str(text_to_image_model)
        self._image_source = Source(images, text_to_image.REPOSITORY, self.adapter_id, download)
        self._image_settings = ImageSettings(
            text_to_image_steps, text_to_image_guidance, text_to_image_size, prompt_suffix, negative_prompt
        )
        self._offload = text_to_image_offload
        self._images: Any = None

    def check_available(self) -> str | None:
        """As for images, and the text-to-image model."""
        return text_to_image.missing_images(self._image_source) or super().check_available()

    def get_parameter_schema(self) -> dict[str, Any]:
        """The prompt and the options."""
        return parameters.shape_schema(
            PROMPT, ["text_prompt"], self.supported_output_formats, steps=self._steps, can_paint=self.texture
        )

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The prompt and every option."""
        super().validate_inputs(inputs)
        parameters.read_shape(inputs, self._steps)
        parameters.read_texture(inputs, self._validate_common_inputs(inputs), can_paint=self.texture)

    def _load_model(self) -> Any:
        model = super()._load_model()
        self._images = text_to_image.load_images(self._image_source, self.device, self._dtype, offload=self._offload)
        return model

    def _unload_model(self) -> None:
        self._images = None
        super()._unload_model()

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        settings = parameters.read_shape(inputs, self._steps)
        paint = parameters.read_texture(inputs, self._validate_common_inputs(inputs), can_paint=self.texture)
        image_path = self.output_dir / "prompt_image.png"
        with self._my_turn():
            stage = self._stage("making the image", 0.01, 0.3)
            image = text_to_image.make_image(
                self._images, response["text_prompt"], settings.seed, self._image_settings, stage
            )
            image.save(image_path, format="PNG")
            self._tell(0.3, "removing the background")
            picture = self._cut_out(image, "text_prompt")
            mesh = self._shape(picture.image, settings, 0.32, 0.6 if paint else 0.94)
            if paint:
                mesh = self._paint(mesh, picture.image, PaintSettings(), 0.6, 0.94)
        response["seed"] = settings.seed
        response["prompt_image_path"] = str(image_path)
        facts = {
            **_facts(settings, self._subfolder),
            "text_to_image_model": self._image_source.name,
            "text_to_image_steps": self._image_settings.steps,
            "background": picture.source,
            "has_texture": paint,
        }
        return self._finish(mesh, response, "generation_info", facts)


class Hunyuan3DPaintingAdapter(Hunyuan3DAdapter, ImageToTextureModel):
    """`hunyuan3d-painting`: a mesh and an image in, the same mesh with a texture out. CUDA only.

    Upstream fixes the seed of painting inside its code, so there is none to give.

    Args:
        model_id: its name.
        model_path: a folder that holds the painting models' folders, or a repository on the hub.
        vram_requirement: MB; by default what the former system measured.
        max_concurrent: requests taken at once.
        hunyuan3d_root: a checkout of upstream.
        background_remover: as for `Hunyuan3DImageToMeshAdapter`.
        download: weights that are not here may be fetched at load.
        feature_type: `image_to_texture`.
        supported_output_formats: of glb and obj.
        dino_path: as for `Hunyuan3DImageToMeshAdapter`.
        upscaler_path: as for `Hunyuan3DImageToMeshAdapter`.
    """

    adapter_id: ClassVar[str] = "hunyuan3d-painting"
    vram_textured: ClassVar[int] = 11264
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")

    def __init__(
        self,
        model_id: str | None = None,
        model_path: str | Path | None = None,
        vram_requirement: int | None = None,
        max_concurrent: int = 1,
        hunyuan3d_root: str | Path | None = None,
        background_remover: str | None = None,
        download: bool = False,
        feature_type: str | None = None,
        supported_output_formats: Sequence[str] | None = None,
        dino_path: str | Path | None = None,
        upscaler_path: str | Path | None = None,
    ) -> None:
        super().__init__(
            model_id=model_id or self.adapter_id,
            model_path=model_path,
            vram_requirement=self.vram_textured if vram_requirement is None else vram_requirement,
            max_concurrent=max_concurrent,
            feature_type=feature_type,
            supported_output_formats=supported_output_formats,
        )
        self._configure(
            hunyuan3d_root=hunyuan3d_root,
            subfolder=None,
            texture=True,
            shapes=False,
            background_remover=background_remover,
            dtype=None,
            flashvdm=False,
            download=download,
            dino_path=dino_path,
            upscaler_path=upscaler_path,
        )

    def get_parameter_schema(self) -> dict[str, Any]:
        """The mesh, the image and the options."""
        formats = self.supported_output_formats
        return {
            "type": "object",
            "properties": {
                "mesh_path": _MESH_FILE,
                **IMAGE,
                "output_format": {
                    "type": "string",
                    "enum": list(formats),
                    "default": formats[0],
                    "description": "format of the painted mesh",
                },
                **self._paint_options(),
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The files' names, one image, and every option."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        self._one_image(inputs)
        self._paint_settings(inputs)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import read_mesh

        response: dict[str, Any] = super()._process_request(inputs)
        settings = self._paint_settings(inputs)
        with self._my_turn():
            self._tell(0.01, "reading the mesh and the image")
            mesh = read_mesh(self._mesh_path(inputs))
            picture = self._picture(inputs, self._one_image(inputs))
            painted = self._paint(mesh, picture.image, settings, 0.05, 0.94)
        facts = {**self._paint_facts(settings), "background": picture.source, "has_texture": True}
        return self._finish(painted, response, "painting_info", facts)

    def _paint_options(self) -> dict[str, Any]:
        """Schema of further options."""
        return {}

    def _paint_settings(self, inputs: dict[str, Any]) -> PaintSettings:
        return PaintSettings()

    def _paint_facts(self, settings: PaintSettings) -> dict[str, Any]:
        return {}

    def _one_image(self, inputs: dict[str, Any]) -> Path:
        images = self._image_paths(inputs)
        if len(images) > 1:
            field = "image_paths" if inputs.get("image_paths") else "image_path"
            raise InvalidInput(f"{len(images)} images; this adapter paints from one", field)
        return images[0]


class Hunyuan3D21PaintingAdapter(Hunyuan3DPaintingAdapter):
    """`hunyuan3d-2.1-painting`: the same with Hunyuan3D 2.1, which paints metalness and roughness too."""

    version: ClassVar[Version] = V21
    adapter_id: ClassVar[str] = "hunyuan3d-2.1-painting"
    vram_textured: ClassVar[int] = 12288
    license_info: ClassVar[License | None] = _LICENSE_21

    def _paint_options(self) -> dict[str, Any]:
        return {
            "max_num_view": {
                "type": "integer",
                "minimum": _VIEWS[0],
                "maximum": _VIEWS[1],
                "default": _VIEWS[0],
                "description": "views that are painted",
            },
            "resolution": {
                "type": "integer",
                "enum": list(_RESOLUTIONS),
                "default": _RESOLUTIONS[0],
                "description": "pixels of a side of each view",
            },
            "remesh": {
                "type": "boolean",
                "default": True,
                "description": "let upstream reduce and mend the mesh first; false keeps its triangles",
            },
        }

    def _paint_settings(self, inputs: dict[str, Any]) -> PaintSettings:
        resolution = whole_number(inputs, "resolution", _RESOLUTIONS[0], _RESOLUTIONS[0], _RESOLUTIONS[-1])
        if resolution not in _RESOLUTIONS:
            raise InvalidInput(f"resolution is {resolution}; want one of {_RESOLUTIONS}", "resolution")
        remesh = inputs.get("remesh", True)
        if not isinstance(remesh, bool):
            raise InvalidInput(f"remesh is {remesh!r}; want true or false", "remesh")
        return PaintSettings(whole_number(inputs, "max_num_view", _VIEWS[0], *_VIEWS), resolution, remesh)

    def _paint_facts(self, settings: PaintSettings) -> dict[str, Any]:
        return {"max_num_view": settings.max_num_view, "resolution": settings.resolution, "remesh": settings.remesh}


def _facts(settings: ShapeSettings, subfolder: str) -> dict[str, Any]:
    """What a shape was made with."""
    return {
        "subfolder": subfolder,
        "seed": settings.seed,
        "num_inference_steps": settings.steps,
        "guidance_scale": settings.guidance_scale,
        "octree_resolution": settings.octree_resolution,
        "num_chunks": settings.num_chunks,
        "max_faces": settings.max_faces,
    }
