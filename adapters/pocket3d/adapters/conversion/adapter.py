"""`trimesh-mesh-conversion`: GLB, OBJ, PLY, STL and OFF in, GLB, OBJ, PLY and STL out. No weights.

The heavy imports happen when it works, so that the class can be described without them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..base import BaseModel
from ..errors import InvalidInput
from ..input_checks import required_file
from ..installed import missing_packages

if TYPE_CHECKING:
    from .convert import Placement

_NEEDED = ("numpy", "scipy", "trimesh", "PIL")
_CENTRES = ("none", "bounds", "ground")
_AXES = ("y", "z")
_SIZE = (1e-6, 1e6)


class TrimeshMeshConversionAdapter(BaseModel):
    """Reads a mesh, places and sizes it as asked, writes it, and says what the target format has no room for.

    Args:
        model_id: its name.
        vram_requirement: MB; it runs on the CPU whatever its device.
        max_concurrent: meshes at once.
        feature_type: `mesh_conversion`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_feature: ClassVar[str] = "mesh_conversion"
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl")

    def __init__(
        self,
        model_id: str = "trimesh-mesh-conversion",
        vram_requirement: int = 256,
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
                "output_format": {"type": "string", "enum": list(self.supported_output_formats)},
                "centre": {
                    "type": "string",
                    "enum": list(_CENTRES),
                    "default": "none",
                    "description": "bounds: the middle of the bounding box goes to the origin; ground: the same, but"
                    " the lowest point lies on the plane through the origin",
                },
                "size": {
                    "type": "number",
                    "minimum": _SIZE[0],
                    "maximum": _SIZE[1],
                    "description": "longest side of the bounding box afterwards (1 makes a unit size); without it the"
                    " size stays",
                },
                "input_up": {
                    "type": "string",
                    "enum": list(_AXES),
                    "default": "y",
                    "description": "the axis that points up in the input; glTF says y, many scanners and printers z",
                },
                "output_up": {
                    "type": "string",
                    "enum": list(_AXES),
                    "default": "y",
                    "description": "the axis that points up in the output; another than input_up turns the mesh",
                },
                "merge_vertices": {
                    "type": "boolean",
                    "default": False,
                    "description": "merge vertices that are equal in position, normal and texture coordinate",
                },
            },
            "required": ["mesh_path", "output_format"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh, a format and sound options."""
        required_file(inputs, "mesh_path", self.supported_input_formats, "mesh conversion")
        if inputs.get("output_format") is None:
            wanted = ", ".join(self.supported_output_formats)
            raise InvalidInput(f"output_format is required for mesh conversion; want one of {wanted}", "output_format")
        self._validate_common_inputs(inputs)
        _choices(inputs)

    def _load_model(self) -> str:
        from . import convert

        return convert.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import ignored_parts, read_scene
        from ..mesh_result import describe_mesh, scene_statistics
        from .convert import Placement, losses, merge, place, write

        source = required_file(inputs, "mesh_path", self.supported_input_formats, "mesh conversion")
        output_format = self._validate_common_inputs(inputs)
        response = self._create_common_response(inputs, output_format)
        target = Path(response["output_mesh_path"])
        self.report_progress(0.05, "reading the mesh")
        scene = read_scene(source)
        before = scene_statistics(scene)
        ignored = ignored_parts(scene)
        self._step(0.4, "placing it")
        merged = merge(scene) if inputs.get("merge_vertices") else 0
        placement: Placement = Placement(*_choices(inputs))
        matrix = place(scene, placement)
        lost = losses(scene, output_format)
        self._step(0.6, "writing the file")
        extra = write(scene, target)
        self._step(0.8, "reading it again")
        described = describe_mesh(target, self.output_dir)
        response["generation_info"] = {
            "model": "trimesh",
            "input_mesh": source.name,
            "input_format": source.suffix.lower()[1:],
            "output_format": output_format,
            "input_statistics": before,
            "statistics": described["statistics"],
            "vertex_count": described["statistics"]["vertices"],
            "face_count": described["statistics"]["faces"],
            "merged_vertices": merged,
            "matrix": [[round(float(each), 9) for each in row] for row in matrix],
            "lost": lost,
            "ignored": ignored,
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self.report_progress(1.0, "done")
        return response

    def _step(self, fraction: float, stage: str) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage)


def _choices(inputs: dict[str, Any]) -> tuple[str, str, str, float | None]:
    """The fields of `Placement`, checked."""
    merge = inputs.get("merge_vertices")
    if merge is not None and not isinstance(merge, bool):
        raise InvalidInput(f"merge_vertices is {merge!r}; want true or false", "merge_vertices")
    size = inputs.get("size")
    if size is not None:
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not math.isfinite(size):
            raise InvalidInput(f"size is {size!r}; want a number", "size")
        if not _SIZE[0] <= size <= _SIZE[1]:
            raise InvalidInput(f"size is {size}; want {_SIZE[0]:g} to {_SIZE[1]:g}", "size")
    return (
        _one_of(inputs, "input_up", _AXES),
        _one_of(inputs, "output_up", _AXES),
        _one_of(inputs, "centre", _CENTRES),
        None if size is None else float(size),
    )


def _one_of(inputs: dict[str, Any], key: str, values: tuple[str, ...]) -> str:
    value = inputs.get(key)
    if value is None:
        return values[0]
    if value not in values:
        raise InvalidInput(f"{key} is {value!r}; want one of {', '.join(values)}", key)
    return str(value)
