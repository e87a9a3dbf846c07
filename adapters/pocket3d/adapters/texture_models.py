"""Base classes of adapters that paint a given mesh, from a text or from images."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from .authoring.input_checks import image_files, required_text
from .errors import InvalidInput
from .mesh_models import IMAGE_FORMATS, MeshInputModel


class BaseTextureModel(MeshInputModel):
    """A mesh in, the same mesh with a texture out."""

    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)
    purpose: ClassVar[str] = "texture generation"


class TextToTextureModel(BaseTextureModel):
    """Requires `mesh_path` and `text_prompt`; takes `output_format`, `seed`, `texture_resolution` and more."""

    default_feature: ClassVar[str] = "text_to_texture"

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh that exists and a prompt that is not empty."""
        self._mesh_path(inputs)
        required_text(inputs, "text_prompt", "text-to-texture generation")
        super().validate_inputs(inputs)

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, text_prompt, seed, painting_info."""
        mesh = self._mesh_path(inputs)
        text = required_text(inputs, "text_prompt", "text-to-texture generation")
        info = {"input_type": "text", "input_mesh": mesh.name}
        return self._checked_response(inputs, "painting_info", info, text_prompt=text, seed=inputs.get("seed"))


class ImageToTextureModel(BaseTextureModel):
    """Requires `mesh_path` and `image_path` or `image_paths`."""

    default_feature: ClassVar[str] = "image_to_texture"
    #: The most images of one request.
    max_images: ClassVar[int] = 4

    def _image_paths(self, inputs: dict[str, Any]) -> list[Path]:
        images = image_files(inputs, IMAGE_FORMATS, self.max_images)
        if not images:
            raise InvalidInput("image_path or image_paths is required for image-to-texture generation", "image_path")
        return images

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh and an image that exist."""
        self._mesh_path(inputs)
        self._image_paths(inputs)
        super().validate_inputs(inputs)

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, input_images, seed, painting_info."""
        mesh = self._mesh_path(inputs)
        images = [image.name for image in self._image_paths(inputs)]
        info = {"input_type": "image", "input_mesh": mesh.name}
        return self._checked_response(inputs, "painting_info", info, input_images=images, seed=inputs.get("seed"))
