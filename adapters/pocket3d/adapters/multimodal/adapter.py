"""`silhouette-multimodal-to-mesh`: a photograph gives the shape, words give the surface. No weights.

With a photograph alone it is inflated and keeps its own colours; with words alone they are built by the shape grammar;
with both, the photograph's subject is inflated and painted with the procedural material that the words name. The heavy
imports happen when it works, so that the class can be described without them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..installed import missing_packages
from ..mesh_models import MultiModalMeshModel
from ..procedural.attribute_words import PromptError
from ..procedural.grammar import parse
from ..procedural.grammar import vocabulary_text as nouns_text
from ..silhouette.options import PhotoOptions, option_properties, read_options
from ..texturing.words import understand
from ..texturing.words import vocabulary_text as surfaces_text

_NEEDED = ("torch", "numpy", "scipy", "trimesh", "PIL", "xatlas")
#: Textures above take minutes where the words are painted, see `texturing`.
_MOST_TEXELS = 2048


class SilhouetteMultimodalToMeshAdapter(MultiModalMeshModel):
    """Shape from the photograph, surface from the words; either alone suffices.

    Args:
        model_id: its name.
        vram_requirement: MB.
        max_concurrent: requests at once.
        feature_type: `multimodal_to_mesh`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")

    def __init__(
        self,
        model_id: str = "silhouette-multimodal-to-mesh",
        vram_requirement: int = 2048,
        max_concurrent: int = 1,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id,
            vram_requirement=vram_requirement,
            max_concurrent=max_concurrent,
            feature_type=feature_type,
            max_images=1,
        )

    def check_available(self) -> str | None:
        """Names what is not installed."""
        return missing_packages(_NEEDED)

    def get_parameter_schema(self) -> dict[str, Any]:
        """All that it takes; other keys are refused."""
        options = option_properties()
        options["texture_resolution"]["maximum"] = _MOST_TEXELS
        return {
            "type": "object",
            "properties": {
                "text_prompt": {
                    "type": "string",
                    "minLength": 1,
                    "description": "beside a photograph: how the surface should look, such as 'polished green marble'."
                    f" {surfaces_text()} Alone: what to build. Nouns: {nouns_text()}",
                },
                "image_path": {"description": "a photograph of one subject: png, jpg or webp"},
                "image_paths": {"description": "the same as a list of one"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                **options,
            },
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The words are read in full, so bad ones are refused before anything is loaded."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _options(inputs)
        text, images = self._text_and_images(inputs)
        if text is not None:
            _read_words(text, with_photograph=bool(images))

    def _load_model(self) -> str:
        from ..silhouette import from_file

        return from_file.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_output import statistics, write_mesh
        from ..mesh_result import describe_mesh
        from .making import inflated, painted, told

        response: dict[str, Any] = super()._process_request(inputs)
        options = _options(inputs)
        text, images = self._text_and_images(inputs)

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(0.9 * fraction, stage)

        if not images:
            made = told(text or "", options, self.device, step)
        elif text is None:
            made = inflated(images[0], _field(inputs), options, self.device, step)
        else:
            made = painted(images[0], _field(inputs), text, options, self.device, step)
        step(1.0, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write_mesh(made.parts, target)
        described = describe_mesh(target, self.output_dir)
        response["generation_info"] = {
            **response["generation_info"],
            **made.facts,
            **statistics(made.parts),
            "statistics": described["statistics"],
            "seed": options.seed,
            "device": self.device,
            "output_format": target.suffix[1:],
        }
        response["seed"] = options.seed
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self.report_progress(1.0, "done")
        return response


def _field(inputs: dict[str, Any]) -> str:
    return "image_paths" if inputs.get("image_paths") else "image_path"


def _options(inputs: dict[str, Any]) -> PhotoOptions:
    options = read_options(inputs)
    if options.texture_resolution > _MOST_TEXELS:
        raise InvalidInput(
            f"texture_resolution is {options.texture_resolution}; want at most {_MOST_TEXELS}", "texture_resolution"
        )
    return options


def _read_words(text: str, *, with_photograph: bool) -> None:
    try:
        if with_photograph:
            understand(text)
        else:
            parse(text)
    except PromptError as error:
        raise InvalidInput(str(error), "text_prompt") from error
