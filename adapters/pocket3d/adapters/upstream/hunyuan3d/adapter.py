"""Tencent's Hunyuan3D 2.0 and 2.1: an image or a text to a mesh, and an image onto a given mesh.

Meshes have +Y up and face +Z, in a cube of [-1.01, 1.01], as upstream makes them; no scale is meant by that.

What ran for real here: the shape pipeline of `hy3dgen` 2.0.2 as PyPI has it (loading, sampling, decoding, clean-up,
progress, cancel, seeds), and a diffusers pipeline as the text-to-image stage, on a CPU with tiny random weights
(tests/models). What did not: the released weights and so any quality, half precision on CUDA, FlashVDM, VRAM, painting
(it needs CUDA and compiled code), all of 2.1, rembg's network. The VRAM defaults are upstream's figures where it has
any.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...licenses import License
from ...mesh_models import ImageToMeshModel, TextToMeshModel
from ...texture_models import ImageToTextureModel
from ..hub import Source
from ..model import UpstreamConfig
from ..unwrapping import require_paintable
from . import text_to_image
from .family import CONDITIONS, EXCLUDED, TERRITORY, Hunyuan3DAdapter, Hunyuan3DShapeAdapter
from .options import ImageToMeshOptions, Painting21Options, PaintingOptions, TextToMeshOptions
from .painting import PaintSettings
from .progress import Stage
from .text_to_image import TextConfig
from .versions import V21, Version

_LICENSE_21 = License(
    code=f"Tencent Hunyuan 3D 2.1 Community License{CONDITIONS}; for painting bpy GPL-3.0, Real-ESRGAN BSD-3-Clause,"
    " DINOv2 Apache-2.0",
    weights="Tencent Hunyuan 3D 2.1 Community License",
    commercial_use=None,
    territory=TERRITORY,
    excluded_territories=EXCLUDED,
    url="https://huggingface.co/tencent/Hunyuan3D-2.1/blob/main/LICENSE",
    requires_acceptance=True,
)


class Hunyuan3DImageToMeshAdapter(Hunyuan3DShapeAdapter, ImageToMeshModel):
    """`hunyuan3d-image-to-mesh`: an image in, a raw or textured mesh out. `ShapeConfig` has the arguments."""

    adapter_id: ClassVar[str] = "hunyuan3d-image-to-mesh"
    options_type = ImageToMeshOptions
    default_max_images: ClassVar[int] = 1
    # README of Hunyuan3D-2, line 125: 6 GB for shapes, 16 GB for shape and texture.
    vram_raw: ClassVar[int] = 6144
    vram_textured: ClassVar[int] = 16384

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        options = self._options(inputs)
        with self.turn():
            self.step(0.01, "reading the image")
            picture = self._picture(inputs, self._image_paths(inputs)[0])
            mesh = self._shape(picture.image, options, 0.05, 0.5 if options.texture else 0.94)
            if options.texture:
                mesh = self._paint(mesh, picture.image, PaintSettings(), 0.5, 0.94)
        response["seed"] = options.seed
        return self._finish(mesh, response, "generation_info", self._facts(options, picture))


class Hunyuan3D21ImageToMeshAdapter(Hunyuan3DImageToMeshAdapter):
    """`hunyuan3d-2.1-image-to-mesh`: the same with Hunyuan3D 2.1."""

    version: ClassVar[Version] = V21
    adapter_id: ClassVar[str] = "hunyuan3d-2.1-image-to-mesh"
    # README of Hunyuan3D-2.1, line 76: 10 GB for shapes, 29 GB for shape and texture.
    vram_raw: ClassVar[int] = 10240
    vram_textured: ClassVar[int] = 29696
    license_info: ClassVar[License | None] = _LICENSE_21


class Hunyuan3DTextToMeshAdapter(Hunyuan3DShapeAdapter, TextToMeshModel):
    """`hunyuan3d-text-to-mesh`: a prompt to an image by any text-to-image model of diffusers, then as with an image.

    Nobody measured this pair: the default of `vram_requirement` is the guide's without a texture; with one it is
    upstream's for shape and texture, since the text-to-image model has left the GPU by then.
    """

    adapter_id: ClassVar[str] = "hunyuan3d-text-to-mesh"
    options_type = TextToMeshOptions
    vram_raw: ClassVar[int] = 12288
    vram_textured: ClassVar[int] = 16384
    config_type: ClassVar[type[UpstreamConfig]] = TextConfig
    config: TextConfig

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self._image_source = Source(
            self.config.text_to_image_model, text_to_image.REPOSITORY, self.adapter_id, self.config.download
        )
        self._images: Any = None

    def check_available(self) -> str | None:
        """Names what is missing, of the text-to-image model too."""
        return text_to_image.missing_images(self._image_source) or super().check_available()

    def _load_model(self) -> Any:
        model = super()._load_model()
        self._images = text_to_image.load_images(
            self._image_source, self.device, self.config.dtype, offload=self.config.text_to_image_offload
        )
        return model

    def _unload_model(self) -> None:
        self._images = None
        super()._unload_model()

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        response: dict[str, Any] = super()._process_request(inputs)
        options = self._options(inputs)
        image_path = self.output_dir / "prompt_image.png"
        with self.turn():
            stage = Stage(self.step, "making the image", 0.01, 0.3)
            image = text_to_image.make_image(self._images, response["text_prompt"], options.seed, self.config, stage)
            image.save(image_path, format="PNG")
            self.step(0.3, "removing the background")
            picture = self._cut_out(image, "text_prompt")
            mesh = self._shape(picture.image, options, 0.32, 0.6 if options.texture else 0.94)
            if options.texture:
                mesh = self._paint(mesh, picture.image, PaintSettings(), 0.6, 0.94)
        response["seed"] = options.seed
        response["prompt_image_path"] = str(image_path)
        facts = {
            **self._facts(options, picture),
            "text_to_image_model": self._image_source.name,
            "text_to_image_steps": self.config.text_to_image_steps,
        }
        return self._finish(mesh, response, "generation_info", facts)


class Hunyuan3DPaintingAdapter(Hunyuan3DAdapter, ImageToTextureModel):
    """`hunyuan3d-painting`: a mesh and an image in, the same mesh with a texture out. CUDA only.

    Upstream fixes the seed of painting inside its code, so there is none to give. `Hunyuan3DConfig` has the arguments.
    """

    adapter_id: ClassVar[str] = "hunyuan3d-painting"
    options_type = PaintingOptions
    # The former system's measurement on an RTX 4090: upstream has a figure for shape and texture together only.
    vram_textured: ClassVar[int] = 11264
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")
    max_images: ClassVar[int] = 1

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_file import read_given

        response: dict[str, Any] = super()._process_request(inputs)
        options = self.options_type.read(inputs)
        given = {name: getattr(options, name) for name in PaintSettings._fields if hasattr(options, name)}
        with self.turn():
            self.step(0.01, "reading the mesh and the image")
            source = read_given(self._mesh_path(inputs))
            # With `remesh` 2.1 reduces it itself, to fewer.
            if not given.get("remesh", False):
                require_paintable(len(source.mesh.faces), self.config.max_paint_faces)
            picture = self._picture(inputs, self._image_paths(inputs)[0])
            painted = self._paint(source.mesh, picture.image, PaintSettings(**given), 0.05, 0.94)
        facts = {**given, "background": picture.source, "has_texture": True}
        return self._finish(painted, response, "painting_info", facts, source)


class Hunyuan3D21PaintingAdapter(Hunyuan3DPaintingAdapter):
    """`hunyuan3d-2.1-painting`: the same with Hunyuan3D 2.1, which paints metalness and roughness too."""

    version: ClassVar[Version] = V21
    adapter_id: ClassVar[str] = "hunyuan3d-2.1-painting"
    options_type = Painting21Options
    # README of Hunyuan3D-2.1, line 76: 21 GB for textures.
    vram_textured: ClassVar[int] = 21504
    license_info: ClassVar[License | None] = _LICENSE_21
