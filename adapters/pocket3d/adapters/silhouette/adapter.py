"""`silhouette-image-to-mesh`: one photograph in, a textured closed mesh out. Classical methods, no weights.

The heavy imports happen at load, so that the class can be described without them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import whole_number
from ..installed import missing_packages
from ..mesh_models import ImageToMeshModel

_MASK_METHODS = ("auto", "alpha", "grabcut", "grabcut-centre")
_DEPTH = (0.05, 2.0)
_DEFAULT_DEPTH = 0.6
_RESOLUTION = (48, 384)
_DEFAULT_RESOLUTION = 192
_TEXTURE = (64, 4096)
_DEFAULT_TEXTURE = 1024
_MAX_SEED = 2**32 - 1
_NEEDED = ("torch", "numpy", "scipy", "PIL", "trimesh")
_KNOWN = (
    "image_path",
    "image_paths",
    "output_format",
    "mask_method",
    "depth_scale",
    "resolution",
    "texture_resolution",
    "seed",
)


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
        """Its options. Further keys are taken and named in the result as ignored."""
        return {
            "type": "object",
            "properties": {
                "image_path": {"description": "a photograph of one subject: png, jpg or webp"},
                "image_paths": {"description": "the same as a list of one"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                "mask_method": {
                    "type": "string",
                    "enum": list(_MASK_METHODS),
                    "default": "auto",
                    "description": "auto: the alpha channel if it says anything, else grabcut; grabcut-centre suits a"
                    " subject that fills the frame",
                },
                "depth_scale": {
                    "type": "number",
                    "minimum": _DEPTH[0],
                    "maximum": _DEPTH[1],
                    "default": _DEFAULT_DEPTH,
                    "description": "1 makes a disc a ball, less is flatter",
                },
                "resolution": {
                    "type": "integer",
                    "minimum": _RESOLUTION[0],
                    "maximum": _RESOLUTION[1],
                    "default": _DEFAULT_RESOLUTION,
                    "description": "long side of the grid of mask and mesh, pixels",
                },
                "texture_resolution": {
                    "type": "integer",
                    "minimum": _TEXTURE[0],
                    "maximum": _TEXTURE[1],
                    "default": _DEFAULT_TEXTURE,
                    "description": "long side to which the photograph is scaled down for the texture, pixels",
                },
                "seed": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": _MAX_SEED,
                    "default": 0,
                    "description": "of the colour models' first centres; the same seed gives the same mesh",
                },
            },
            "additionalProperties": True,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """The image's name and every option."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _mask_method(inputs)
        _depth_scale(inputs)
        _whole(inputs)

    def _load_model(self) -> str:
        from . import reconstruction

        return reconstruction.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_output import COLOUR_IN_FORMAT, statistics, write_mesh
        from ..mesh_result import describe_mesh
        from .mask import NoSubject
        from .photo import UnreadablePhoto, read_photo
        from .reconstruction import Settings, reconstruct

        response: dict[str, Any] = super()._process_request(inputs)
        path = self._image_paths(inputs)[0]
        field = "image_paths" if inputs.get("image_paths") else "image_path"
        resolution, texture_resolution, seed = _whole(inputs)
        settings = Settings(_mask_method(inputs), _depth_scale(inputs), resolution, seed)

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(fraction, stage)

        step(0.02, "reading the photograph")
        try:
            photo = read_photo(path, max(texture_resolution, resolution))
            made = reconstruct(photo, settings, self.device, step)
        except UnreadablePhoto as error:
            raise InvalidInput(f"{path.name}: {error}", field) from error
        except NoSubject as error:
            wrong = "mask_method" if settings.mask_method == "alpha" else field
            raise InvalidInput(f"{path.name}: {error}", wrong) from error
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
            "image_size": list(photo.original_size),
            "seed": seed,
            "device": self.device,
            "output_format": target.suffix[1:],
            "colour": "texture" if target.suffix in (".glb", ".obj") else COLOUR_IN_FORMAT[target.suffix[1:]],
            "ignored_inputs": sorted(key for key in inputs if key not in _KNOWN),
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        response["seed"] = seed
        self.report_progress(1.0, "done")
        return response


def _mask_method(inputs: dict[str, Any]) -> str:
    method = inputs.get("mask_method")
    if method is None:
        return _MASK_METHODS[0]
    if method not in _MASK_METHODS:
        raise InvalidInput(f"mask_method is {method!r}; want one of {', '.join(_MASK_METHODS)}", "mask_method")
    return str(method)


def _depth_scale(inputs: dict[str, Any]) -> float:
    value = inputs.get("depth_scale")
    if value is None:
        return _DEFAULT_DEPTH
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _DEPTH[0] <= value <= _DEPTH[1]:
        raise InvalidInput(f"depth_scale is {value!r}; want a number from {_DEPTH[0]} to {_DEPTH[1]}", "depth_scale")
    return float(value)


def _whole(inputs: dict[str, Any]) -> tuple[int, int, int]:
    """Resolution, texture resolution, seed."""
    return (
        whole_number(inputs, "resolution", _DEFAULT_RESOLUTION, *_RESOLUTION),
        whole_number(inputs, "texture_resolution", _DEFAULT_TEXTURE, *_TEXTURE),
        whole_number(inputs, "seed", 0, 0, _MAX_SEED),
    )
