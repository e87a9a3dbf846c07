"""TRELLIS behind the system's interface: text or images to a textured mesh, and text or an image onto a given mesh.

Upstream is microsoft/TRELLIS at 6b0d647. What of this ran for real here: the pipelines themselves (both of them, single
and several images, `run_variant`), from the package `trellis-3d-ms`, on a CPU with tiny random weights and stand-ins
for what needs CUDA (tests/models). What did not: the released weights and so any quality, the CUDA kernels, the
Gaussian decoder and the baked texture, VRAM.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ...authoring.input_checks import image_field
from ...mesh_models import ImageToMeshModel, TextToMeshModel
from ...texture_models import ImageToTextureModel, TextToTextureModel
from ..rembg_network import missing_network
from .family import TrellisAdapter, TrellisPaintingAdapter
from .options import SECOND, ImagePaintingOptions, ImageToMeshOptions, TextPaintingOptions, TextToMeshOptions

_TEXT_WEIGHTS = "microsoft/TRELLIS-text-xlarge"
_IMAGE_WEIGHTS = "microsoft/TRELLIS-image-large"


class TrellisTextToMeshAdapter(TrellisAdapter, TextToMeshModel):
    """`trellis-text-to-mesh`: a prompt in, a mesh out."""

    adapter_id: ClassVar[str] = "trellis-text-to-mesh"
    options_type = TextToMeshOptions
    repository: ClassVar[str] = _TEXT_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisTextTo3DPipeline"

    def _sample(self, inputs: dict[str, Any], options: TextToMeshOptions, formats: list[str]) -> Any:
        return self.model.run(
            inputs["text_prompt"].strip(), seed=options.seed, formats=formats, **self._sampler_params(options)
        )


class _Pictures(TrellisAdapter):
    """What takes pictures: they are cut out by rembg, which upstream asks for its network with the first one."""

    def _missing_remover(self) -> str | None:
        lacking = missing_network(download=self.config.download)
        return None if lacking is None else f"subjects cannot be cut out: {lacking}; {self._source.hint()}"


class TrellisImageToMeshAdapter(_Pictures, ImageToMeshModel):
    """`trellis-image-to-mesh`: one image, or several of the same thing, in; a mesh out."""

    adapter_id: ClassVar[str] = "trellis-image-to-mesh"
    options_type = ImageToMeshOptions
    repository: ClassVar[str] = _IMAGE_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisImageTo3DPipeline"

    def _sample(self, inputs: dict[str, Any], options: ImageToMeshOptions, formats: list[str]) -> Any:
        pictures = [self._picture(path, options, image_field(inputs)) for path in self._image_paths(inputs)]
        given = {"seed": options.seed, "formats": formats, "preprocess_image": False, **self._sampler_params(options)}
        if len(pictures) == 1:
            return self.model.run(pictures[0], **given)
        return self.model.run_multi_image(pictures, mode=options.multi_image_mode, **given)


class TrellisTextPaintingAdapter(TrellisPaintingAdapter, TextToTextureModel):
    """`trellis-text-painting`: a mesh and a prompt in, the same shape in new colours out.

    Upstream's `run_variant` makes a variant of a mesh from its voxels, so the model does not see detail below 1/64 of
    the extent. Upstream ends with a new mesh; here the appearance goes onto the given one.
    """

    adapter_id: ClassVar[str] = "trellis-text-painting"
    options_type = TextPaintingOptions
    repository: ClassVar[str] = _TEXT_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisTextTo3DPipeline"

    def _sample(self, inputs: dict[str, Any], options: TextPaintingOptions, formats: list[str]) -> Any:
        return self.model.run_variant(
            inputs["mesh"],
            inputs["text_prompt"].strip(),
            seed=options.seed,
            formats=formats,
            **self._sampler_params(options),
        )


class TrellisImagePaintingAdapter(_Pictures, TrellisPaintingAdapter, ImageToTextureModel):
    """`trellis-image-painting`: a mesh and an image in, the same shape in new colours out.

    Upstream has no entry point for it. This runs the steps of the text pipeline's `run_variant` with the image
    pipeline's own methods: voxelise, encode the image, second stage, decode. One image: upstream's way to use several
    is tied to its `run_multi_image`.
    """

    adapter_id: ClassVar[str] = "trellis-image-painting"
    options_type = ImagePaintingOptions
    repository: ClassVar[str] = _IMAGE_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisImageTo3DPipeline"
    max_images: ClassVar[int] = 1

    def _sample(self, inputs: dict[str, Any], options: ImagePaintingOptions, formats: list[str]) -> Any:
        import torch

        picture = self._picture(self._image_paths(inputs)[0], options, image_field(inputs))
        with torch.no_grad():
            condition = self.model.get_cond([picture])
            # `voxelize` uses nothing of its pipeline, and only the text pipeline has it.
            voxels = self._pipelines.TrellisTextTo3DPipeline.voxelize(None, inputs["mesh"])
            first = torch.zeros((voxels.shape[0], 1), dtype=voxels.dtype, device=voxels.device)
            torch.manual_seed(options.seed)
            latent = self.model.sample_slat(condition, torch.cat([first, voxels], dim=1), options.sampler(SECOND))
            return self.model.decode_slat(latent, formats)
