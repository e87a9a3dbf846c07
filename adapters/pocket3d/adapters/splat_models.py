"""Base class of adapters that make clouds of 3D Gaussians ("splats")."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from .mesh_models import ImageToMeshModel


class ImageToSplatModel(ImageToMeshModel):
    """An image in, a file of Gaussians out: `.ply` or `.splat`. Requires `image_path` or `image_paths` (at most
    `max_images`), local files; takes `output_format`, `seed` and what the adapter adds.
    """

    default_feature: ClassVar[str] = "image_to_splat"
    default_output_formats: ClassVar[tuple[str, ...]] = ("ply", "splat")
    default_max_images: ClassVar[int] = 1
    purpose: ClassVar[str] = "image-to-splat generation"

    def _create_common_response(self, inputs: dict[str, Any], output_format: str) -> dict[str, Any]:
        """`success`, and in `output_splat_path` the place inside `output_dir` where the Gaussians are expected."""
        mesh = Path(super()._create_common_response(inputs, output_format)["output_mesh_path"])
        return {"output_splat_path": str(mesh.with_name(mesh.name.replace("_mesh_", "_splat_", 1))), "success": True}

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_splat_path, success, input_images (names), num_input_images, seed,
        generation_info.
        """
        return super()._process_request(inputs)
