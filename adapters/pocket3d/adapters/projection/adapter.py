"""`projection-image-to-texture`: a mesh and a picture in, the mesh with the picture on it out. No weights.

The heavy imports happen when it works, so that the class can be described without them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import whole_number
from ..installed import missing_packages
from ..texture_models import ImageToTextureModel

_NEEDED = ("torch", "numpy", "scipy", "trimesh", "PIL", "xatlas")
_PROJECTIONS = ("front", "box")
_TILES = (0.1, 100.0)
_DEFAULT_TILES = 2.0
_RESOLUTION = (256, 4096)
_DEFAULT_RESOLUTION = 1024
#: As for painting from words: xatlas takes about a quarter of a millisecond a face.
_MAX_FACES = 200_000
_MAX_VERTICES = 600_000
_ROUGHNESS = 0.8


class ProjectionImageToTextureAdapter(ImageToTextureModel):
    """Unwraps the mesh with xatlas and lays the picture on it; what the mesh had of colours is replaced.

    Nothing is recognised in the picture: `front` fits a picture of the object seen from the front, `box` one of a
    material.

    Args:
        model_id: its name.
        vram_requirement: MB.
        max_concurrent: meshes at once.
        feature_type: `image_to_texture`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")

    def __init__(
        self,
        model_id: str = "projection-image-to-texture",
        vram_requirement: int = 2048,
        max_concurrent: int = 1,
        feature_type: str | None = None,
    ) -> None:
        super().__init__(
            model_id, vram_requirement=vram_requirement, max_concurrent=max_concurrent, feature_type=feature_type
        )

    def check_available(self) -> str | None:
        """Names what is not installed."""
        return missing_packages(_NEEDED)

    def get_parameter_schema(self) -> dict[str, Any]:
        """All that it takes; other keys are refused."""
        return {
            "type": "object",
            "properties": {
                "mesh_path": {"description": "one self-contained file: glb, obj, ply, stl or off"},
                "image_path": {"description": "the picture: png, jpg or webp"},
                "image_paths": {"description": "the same as a list of one"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
                "projection": {
                    "type": "string",
                    "enum": list(_PROJECTIONS),
                    "default": _PROJECTIONS[0],
                    "description": "front: once, covering the mesh as seen along -Z, front and back alike; box:"
                    " repeated on all sides, mirrored, blended by the normals",
                },
                "tiles": {
                    "type": "number",
                    "minimum": _TILES[0],
                    "maximum": _TILES[1],
                    "default": _DEFAULT_TILES,
                    "description": "of box: how often the picture fits along the longest side",
                },
                "texture_resolution": {
                    "type": "integer",
                    "minimum": _RESOLUTION[0],
                    "maximum": _RESOLUTION[1],
                    "default": _DEFAULT_RESOLUTION,
                    "description": "texels along a side of the square texture",
                },
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh, one picture and sound options."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _options(inputs)
        if len(self._image_paths(inputs)) != 1:
            raise InvalidInput("more than one picture; want one", "image_paths")

    def _load_model(self) -> str:
        from . import draping

        return draping.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import numpy as np

        from ..image_input import read_image
        from ..mesh_input import MeshLimits, ignored_parts, read_scene
        from ..mesh_output import write_mesh
        from ..mesh_result import describe_mesh
        from ..texturing.atlas import UnwrapFailed
        from ..texturing.painting import bare_parts, paint_scene
        from ..texturing.words import Understood
        from .draping import draping

        response: dict[str, Any] = super()._process_request(inputs)
        projection, tiles, resolution = _options(inputs)
        source, image = self._mesh_path(inputs), self._image_paths(inputs)[0]

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(0.05 + 0.85 * fraction, stage)

        self.report_progress(0.0, "reading the picture and the mesh")
        picture = read_image(image, field="image_paths" if inputs.get("image_paths") else "image_path")
        scene = read_scene(source, MeshLimits(max_faces=_MAX_FACES, max_vertices=_MAX_VERTICES))
        parts = bare_parts(scene)
        corners = np.concatenate([part.vertices[part.faces.reshape(-1)] for part in parts])
        sides = np.maximum(np.ptp(corners, axis=0), 1e-12)
        painter = draping(picture, projection, tiles, sides / sides.max(), resolution, self.device)
        plain = Understood("picture", ((1.0, 1.0, 1.0),), {}, [], 1.0, "vertical", 0.0, _ROUGHNESS)
        try:
            painted = paint_scene(parts, plain, 0, resolution, self.device, step, painter)
        except UnwrapFailed as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        step(1.0, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write_mesh(painted.parts, target)
        described = describe_mesh(target, self.output_dir)
        response["painting_info"] = {
            **response["painting_info"],
            "model": "projection of the picture",
            "projection": projection,
            "tiles": tiles if projection == "box" else None,
            "image_size": list(picture.size),
            **painted.facts,
            "statistics": described["statistics"],
            "vertex_count": described["statistics"]["vertices"],
            "face_count": described["statistics"]["faces"],
            "ignored": ignored_parts(scene),
            "device": self.device,
            "output_format": target.suffix[1:],
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self.report_progress(1.0, "done")
        return response


def _options(inputs: dict[str, Any]) -> tuple[str, float, int]:
    """Projection, tiles, texture resolution."""
    projection = inputs.get("projection")
    if projection is None:
        projection = _PROJECTIONS[0]
    if projection not in _PROJECTIONS:
        raise InvalidInput(f"projection is {projection!r}; want one of {', '.join(_PROJECTIONS)}", "projection")
    tiles = inputs.get("tiles")
    if tiles is None:
        tiles = _DEFAULT_TILES
    if isinstance(tiles, bool) or not isinstance(tiles, (int, float)) or not math.isfinite(tiles):
        raise InvalidInput(f"tiles is {tiles!r}; want a number", "tiles")
    if not _TILES[0] <= tiles <= _TILES[1]:
        raise InvalidInput(f"tiles is {tiles}; want {_TILES[0]:g} to {_TILES[1]:g}", "tiles")
    return (
        str(projection),
        float(tiles),
        whole_number(inputs, "texture_resolution", _DEFAULT_RESOLUTION, *_RESOLUTION),
    )
