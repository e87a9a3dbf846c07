"""`silhouette-image-to-mesh`: one photograph in, a textured closed mesh out. Classical methods, no weights.

The heavy imports happen at load, so that the class can be described without them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..installed import missing_packages
from ..mesh_models import ImageToMeshModel
from .options import option_properties, read_options

_NEEDED = ("torch", "numpy", "scipy", "PIL", "trimesh")


class SilhouetteImageToMeshAdapter(ImageToMeshModel):
    """Foreground mask, Poisson inflation, texture from the image. The back is the mirrored front.

    Args:
        model_id: its name.
        vram_requirement: MB.
        max_concurrent: photographs at once.
        feature_type: `image_to_mesh`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl")

    def __init__(
        self,
        model_id: str = "silhouette-image-to-mesh",
        vram_requirement: int = 512,
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
        return {
            "type": "object",
            "properties": {
                "image_path": {"description": "a photograph of one subject: png, jpg or webp"},
                "image_paths": {"description": "the same as a list of one"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                **option_properties(),
            },
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The image's name and every option."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        read_options(inputs)

    def _load_model(self) -> str:
        from . import from_file

        return from_file.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_output import COLOUR_IN_FORMAT, statistics, write_mesh
        from ..mesh_result import describe_mesh
        from .from_file import from_photograph

        response: dict[str, Any] = super()._process_request(inputs)
        path = self._image_paths(inputs)[0]
        field = "image_paths" if inputs.get("image_paths") else "image_path"
        options = read_options(inputs)

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(fraction, stage)

        made, image_size = from_photograph(path, field, options, self.device, step)
        step(0.9, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write_mesh([made.part], target)
        described = describe_mesh(target, self.output_dir)
        response["generation_info"] = {
            **response["generation_info"],
            "model": "silhouette inflation",
            **made.facts,
            **statistics([made.part]),
            "statistics": described["statistics"],
            "image_size": image_size,
            "seed": options.seed,
            "device": self.device,
            "output_format": target.suffix[1:],
            "colour": "texture" if target.suffix in (".glb", ".obj") else COLOUR_IN_FORMAT[target.suffix[1:]],
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        response["seed"] = options.seed
        self.report_progress(1.0, "done")
        return response
