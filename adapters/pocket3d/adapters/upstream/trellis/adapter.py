"""TRELLIS behind the system's interface: text or images to a textured mesh, and text or an image onto a given mesh.

Upstream is microsoft/TRELLIS at 6b0d647. What of this ran for real here: the pipelines themselves (both of them, single
and several images, `run_variant`), from the package `trellis-3d-ms`, on a CPU with tiny random weights and stand-ins
for what needs CUDA (tests/models). What did not: the released weights and so any quality, the CUDA kernels, the
Gaussian decoder and the baked texture, VRAM. The VRAM defaults are the former system's measurements.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ...errors import InvalidInput
from ...mesh_models import ImageToMeshModel, TextToMeshModel
from ...texture_models import ImageToTextureModel, TextToTextureModel
from .family import TrellisAdapter
from .options import SECOND, ImagePaintingOptions, ImageToMeshOptions, TextPaintingOptions, TextToMeshOptions

_TEXT_WEIGHTS = "microsoft/TRELLIS-text-xlarge"
_IMAGE_WEIGHTS = "microsoft/TRELLIS-image-large"


class TrellisTextToMeshAdapter(TrellisAdapter, TextToMeshModel):
    """`trellis-text-to-mesh`: a prompt in, a mesh out."""

    adapter_id: ClassVar[str] = "trellis-text-to-mesh"
    options_type = TextToMeshOptions
    repository: ClassVar[str] = _TEXT_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisTextTo3DPipeline"

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._answer(inputs, super()._process_request(inputs), "generation_info")

    def _sample(self, inputs: dict[str, Any], options: TextToMeshOptions, formats: list[str]) -> dict[str, Any]:
        outputs: dict[str, Any] = self.model.run(
            inputs["text_prompt"].strip(), seed=options.seed, formats=formats, **self._sampler_params(options)
        )
        return outputs


class TrellisImageToMeshAdapter(TrellisAdapter, ImageToMeshModel):
    """`trellis-image-to-mesh`: one image, or several of the same thing, in; a mesh out."""

    adapter_id: ClassVar[str] = "trellis-image-to-mesh"
    options_type = ImageToMeshOptions
    repository: ClassVar[str] = _IMAGE_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisImageTo3DPipeline"

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._answer(inputs, super()._process_request(inputs), "generation_info")

    def _sample(self, inputs: dict[str, Any], options: ImageToMeshOptions, formats: list[str]) -> dict[str, Any]:
        field = "image_paths" if inputs.get("image_paths") else "image_path"
        pictures = [self._picture(path, options, field) for path in self._image_paths(inputs)]
        given = {"seed": options.seed, "formats": formats, "preprocess_image": False}
        given.update(self._sampler_params(options))
        outputs: dict[str, Any]
        if len(pictures) == 1:
            outputs = self.model.run(pictures[0], **given)
        else:
            outputs = self.model.run_multi_image(pictures, mode=options.multi_image_mode, **given)
        return outputs


class TrellisTextPaintingAdapter(TrellisAdapter, TextToTextureModel):
    """`trellis-text-painting`: a mesh and a prompt in, the same shape in new colours out.

    Upstream's `run_variant` makes a variant of a mesh from its voxels, so the model does not see detail below 1/64 of
    the extent. Upstream ends with a new mesh; here the appearance goes onto the given one.
    """

    adapter_id: ClassVar[str] = "trellis-text-painting"
    options_type = TextPaintingOptions
    repository: ClassVar[str] = _TEXT_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisTextTo3DPipeline"
    paints: ClassVar[bool] = True
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._answer(inputs, super()._process_request(inputs), "painting_info")

    def _make(self, inputs: dict[str, Any], options: TextPaintingOptions) -> tuple[Any, dict[str, Any]]:
        return self._paint(inputs, options, self._mesh_path(inputs))

    def _sample(self, inputs: dict[str, Any], options: TextPaintingOptions, formats: list[str]) -> dict[str, Any]:
        outputs: dict[str, Any] = self.model.run_variant(
            self._given_to_open3d(inputs),
            inputs["text_prompt"].strip(),
            seed=options.seed,
            formats=formats,
            **self._sampler_params(options),
        )
        return outputs


class TrellisImagePaintingAdapter(TrellisAdapter, ImageToTextureModel):
    """`trellis-image-painting`: a mesh and an image in, the same shape in new colours out.

    Upstream has no entry point for it. This runs the steps of the text pipeline's `run_variant` with the image
    pipeline's own methods: voxelise, encode the image, second stage, decode. One image: upstream's way to use several
    is tied to its `run_multi_image`.
    """

    adapter_id: ClassVar[str] = "trellis-image-painting"
    options_type = ImagePaintingOptions
    repository: ClassVar[str] = _IMAGE_WEIGHTS
    pipeline_name: ClassVar[str] = "TrellisImageTo3DPipeline"
    paints: ClassVar[bool] = True
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """Refuse more than one image, besides what every adapter refuses."""
        super().validate_inputs(inputs)
        self._image(inputs)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._answer(inputs, super()._process_request(inputs), "painting_info")

    def _make(self, inputs: dict[str, Any], options: ImagePaintingOptions) -> tuple[Any, dict[str, Any]]:
        return self._paint(inputs, options, self._mesh_path(inputs))

    def _sample(self, inputs: dict[str, Any], options: ImagePaintingOptions, formats: list[str]) -> dict[str, Any]:
        import torch

        path, field = self._image(inputs)
        picture = self._picture(path, options, field)
        with torch.no_grad():
            condition = self.model.get_cond([picture])
            # `voxelize` uses nothing of its pipeline, and only the text pipeline has it.
            voxels = self._pipelines.TrellisTextTo3DPipeline.voxelize(None, self._given_to_open3d(inputs))
            first = torch.zeros((voxels.shape[0], 1), dtype=voxels.dtype, device=voxels.device)
            torch.manual_seed(options.seed)
            latent = self.model.sample_slat(condition, torch.cat([first, voxels], dim=1), options.sampler(SECOND))
            outputs: dict[str, Any] = self.model.decode_slat(latent, formats)
        return outputs

    def _image(self, inputs: dict[str, Any]) -> tuple[Path, str]:
        images = self._image_paths(inputs)
        field = "image_paths" if inputs.get("image_paths") else "image_path"
        if len(images) > 1:
            raise InvalidInput(f"{len(images)} images; this adapter paints from one", field)
        return images[0], field
