"""Base classes of adapters that make meshes, from text, from images, from both, or that take one.

Each `_process_request` here is abstract and yet has a body: it checks the inputs and returns the common part of the
answer, for `super()._process_request(inputs)`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from .authoring.input_checks import image_files, required_file, required_text
from .base import BaseModel
from .errors import InvalidInput

#: Suffixes; .jfif is how Chrome saves a JPEG on Windows.
IMAGE_FORMATS = (
    *("jpg", "jpeg", "png", "webp"),
    *("jfif", "bmp", "gif", "tif", "tiff", "avif", "heic", "heif"),
)

#: Suffixes of what `mesh.input` reads; a zip holds a mesh with its files.
MESH_FORMATS = ("glb", "obj", "ply", "stl", "off", "gltf", "vrm", "3mf", "fbx", "dae", "3ds", "zip")


class BaseMeshGenerationModel(BaseModel):
    """What the mesh generators share: output formats glb and obj unless told otherwise."""

    default_feature: ClassVar[str] = "mesh_generation"


class TextToMeshModel(BaseMeshGenerationModel):
    """Text in, mesh out. Requires `text_prompt`; takes `output_format`, `seed` and what the adapter adds."""

    default_feature: ClassVar[str] = "text_to_mesh"
    default_input_formats: ClassVar[tuple[str, ...]] = ("text",)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A prompt that is not empty."""
        required_text(inputs, "text_prompt", "text-to-mesh generation")
        super().validate_inputs(inputs)

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, text_prompt, seed, generation_info."""
        text = required_text(inputs, "text_prompt", "text-to-mesh generation")
        info = {"input_type": "text", "prompt_length": len(text)}
        return self._checked_response(inputs, "generation_info", info, text_prompt=text, seed=inputs.get("seed"))


class ImageToMeshModel(BaseMeshGenerationModel):
    """Images in, mesh out. Requires `image_path` or `image_paths` (at most `max_images`), local files.

    Args:
        max_images: most images of one request; None for `default_max_images`.
        options: see `BaseModel`.
    """

    default_feature: ClassVar[str] = "image_to_mesh"
    default_input_formats: ClassVar[tuple[str, ...]] = IMAGE_FORMATS
    default_max_images: ClassVar[int] = 4
    #: What the images are required for, in words of the refusal.
    purpose: ClassVar[str] = "image-to-mesh generation"

    def __init__(
        self,
        model_id: str | None = None,
        model_path: str | Path | None = None,
        vram_requirement: int | None = None,
        supported_input_formats: Sequence[str] | None = None,
        supported_output_formats: Sequence[str] | None = None,
        feature_type: str | None = None,
        max_images: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            model_id,
            model_path,
            vram_requirement,
            feature_type,
            supported_output_formats=supported_output_formats,
            supported_input_formats=supported_input_formats,
            **options,
        )
        self.max_images: int = self.default_max_images if max_images is None else max_images

    def _image_paths(self, inputs: dict[str, Any]) -> list[Path]:
        """The images, whichever key names them.

        Raises:
            InvalidInput: none, too many, or of another format.
            FileNotFoundError: a file is not there.
        """
        images = image_files(inputs, self.supported_input_formats, self.max_images)
        if not images:
            raise InvalidInput(f"image_path or image_paths is required for {self.purpose}", "image_path")
        return images

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """At least one image that exists, of a supported format."""
        self._image_paths(inputs)
        super().validate_inputs(inputs)

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, input_images (names), num_input_images, seed,
        generation_info.
        """
        return self._response_with_images(inputs, self._image_paths(inputs), "image")

    def _response_with_images(
        self, inputs: dict[str, Any], images: list[Path], kind: str, **facts: Any
    ) -> dict[str, Any]:
        return self._checked_response(
            inputs,
            "generation_info",
            {"input_type": kind, "num_images": len(images)},
            **facts,
            input_images=[image.name for image in images],
            num_input_images=len(images),
            seed=inputs.get("seed"),
        )


class MultiModalMeshModel(ImageToMeshModel):
    """Text, images or both in, mesh out. Requires `text_prompt` and/or `image_path(s)`."""

    default_feature: ClassVar[str] = "multimodal_to_mesh"

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A prompt or an image, each sound if given."""
        self._text_and_images(inputs)
        # Not ImageToMeshModel's, which demands an image.
        super(ImageToMeshModel, self).validate_inputs(inputs)

    def _text_and_images(self, inputs: dict[str, Any]) -> tuple[str | None, list[Path]]:
        """The prompt (None if absent) and the images (empty if absent), not both absent."""
        text = None
        if inputs.get("text_prompt") is not None:
            text = required_text(inputs, "text_prompt", "multimodal mesh generation")
        images = image_files(inputs, self.supported_input_formats, self.max_images)
        if text is None and not images:
            raise InvalidInput(
                "text_prompt, image_path or image_paths is required for multimodal mesh generation", "text_prompt"
            )
        return text, images

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer, with what was given: text_prompt, input_images, num_input_images."""
        text, images = self._text_and_images(inputs)
        kinds = [kind for kind, given in (("text", text is not None), ("image", bool(images))) if given]
        return self._response_with_images(inputs, images, "+".join(kinds), text_prompt=text)


class MeshInputModel(BaseModel):
    """Requires `mesh_path`, a local file of one of the supported input formats."""

    #: What the mesh is required for, in words of the refusal.
    purpose: ClassVar[str] = "this adapter"

    def _mesh_path(self, inputs: dict[str, Any]) -> Path:
        """The mesh.

        Raises:
            InvalidInput: missing, or of another format.
            FileNotFoundError: the file is not there.
        """
        return required_file(inputs, "mesh_path", self.supported_input_formats, self.purpose)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh that exists, of a supported format, and what `options_type` allows."""
        self._mesh_path(inputs)
        super().validate_inputs(inputs)
