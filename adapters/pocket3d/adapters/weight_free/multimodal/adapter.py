"""`silhouette-multimodal-to-mesh`: a photograph gives the shape, words give the surface. No weights.

With a photograph alone it is inflated and keeps its own colours; with words alone they are built by the shape grammar;
with both, the photograph's subject is inflated. Words that name the subject leave it as it is, a colour is laid over
the photograph, and a material or pattern is painted.
"""

from __future__ import annotations

from typing import Annotated, Any

from ...authoring.input_checks import image_field, mask_file
from ...authoring.mesh_job import write_and_finish
from ...authoring.options import Meta
from ...authoring.weight_free import WeightFreeModel
from ...mesh_models import MultiModalMeshModel
from ..procedural.grammar import parse
from ..procedural.refusals import vocabulary_text as nouns_text
from ..silhouette.options import PhotoOptions
from ..texturing.words import understand
from ..texturing.words import vocabulary_text as surfaces_text


class MultimodalOptions(PhotoOptions):
    """What a request may say."""

    text_prompt: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="beside a photograph: what it shows and how the surface should look, such as 'a horse' or"
                " 'a horse of polished green marble'."
                f" {surfaces_text()} Alone: what to build. {nouns_text()}",
            ),
        ]
        | None
    ) = None
    texture_resolution: Annotated[int, Meta(ge=64, le=2048, description="long side of the texture, pixels")] = 1024


class SilhouetteMultimodalToMeshAdapter(WeightFreeModel, MultiModalMeshModel):
    """Shape from the photograph, surface from the words; either alone suffices."""

    adapter_id = "silhouette-multimodal-to-mesh"
    default_vram_mb = 2048
    default_max_images = 1
    default_output_formats = ("glb", "obj")
    options_type = MultimodalOptions
    needs = ("torch", "numpy", "scipy", "trimesh", "PIL")
    imports = (".making",)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The words are read in full, so bad ones are refused before anything is loaded."""
        super().validate_inputs(inputs)
        text, images = self._text_and_images(inputs)
        if text is not None:
            understand(text, beside_picture=True) if images else parse(text)
        mask_file(inputs, self.supported_input_formats)

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ...mesh.write import statistics
        from .making import from_both, from_photo, from_text

        response: dict[str, Any] = super()._process_request(inputs)
        options = MultimodalOptions.read(inputs)
        text, images = self._text_and_images(inputs)
        step = self.steps_within(0.0, 0.9)
        if not images:
            parts, made = from_text(text or "", options, self.device, step)
        elif text is None:
            parts, made = from_photo(images[0], image_field(inputs), options, self.device, step)
        else:
            parts, made = from_both(images[0], image_field(inputs), text, options, self.device, step)
        response["seed"] = options.seed
        facts = {**made, **statistics(parts), "seed": options.seed, "device": self.device}
        return write_and_finish(self, parts, response, "generation_info", facts)
