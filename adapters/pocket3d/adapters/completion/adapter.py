"""`hole-filling-part-completion`: a scene of open parts in, the same parts closed out. No weights.

What `mesh_segmentation` cuts is open where the cuts were; each part is closed there by itself. The heavy imports happen
when it works, so that the class can be described without them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..installed import missing_packages
from ..segment_models import PartCompletionModel

_NEEDED = ("numpy", "scipy", "trimesh", "PIL")
#: A result has to stay small; `num_parts` tells how many there are.
_MOST_PARTS_LISTED = 200


class HoleFillingPartCompletionAdapter(PartCompletionModel):
    """Closes every boundary loop of every part with a cap of least area, in the colours of its rim.

    Args:
        model_id: its name.
        vram_requirement: MB; it runs on the CPU whatever its device.
        max_concurrent: scenes at once.
        feature_type: `part_completion`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "obj")

    def __init__(
        self,
        model_id: str = "hole-filling-part-completion",
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
                "mesh_path": {"description": "one self-contained file: a glb of several parts, or obj, ply, stl, off"},
                "output_format": {"type": "string", "enum": list(self.supported_output_formats), "default": "glb"},
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh and a format."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)

    def _load_model(self) -> str:
        from . import holes

        return holes.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import ignored_parts, read_scene
        from ..mesh_output import write_mesh
        from ..mesh_parts import parts_of
        from ..mesh_result import describe_mesh, scene_statistics
        from .closing import close_part
        from .holes import METHOD, SOURCE

        response: dict[str, Any] = super()._process_request(inputs)
        self._step(0.0, "reading the mesh")
        scene = read_scene(self._mesh_path(inputs))
        before = scene_statistics(scene)
        parts = parts_of(scene)
        closed = []
        for number, part in enumerate(parts):
            self._step(0.1 + 0.75 * number / len(parts), "closing the parts")
            closed.append(close_part(part))
        self._step(0.85, "writing the file")
        target = Path(response["output_mesh_path"])
        extra = write_mesh([each.part for each in closed], target)
        described = describe_mesh(target, self.output_dir)
        notes = [f"{each.part.name}: {each.note}" for each in closed if each.note]
        response["completion_info"] = {
            **response["completion_info"],
            "model": METHOD,
            "source": SOURCE,
            "num_parts": len(closed),
            "closed_parts": sum(each.filled.volume is not None for each in closed),
            "holes_filled": sum(len(each.filled.holes) for each in closed),
            "parts": [each.facts() for each in closed[:_MOST_PARTS_LISTED]],
            "notes": notes[:_MOST_PARTS_LISTED],
            "input_statistics": before,
            "statistics": described["statistics"],
            "vertex_count": described["statistics"]["vertices"],
            "face_count": described["statistics"]["faces"],
            "ignored": ignored_parts(scene),
            "output_format": target.suffix[1:],
        }
        response["num_parts"] = len(closed)
        response["thumbnail_path"] = described["thumbnail_path"]
        if extra:
            response["extra_paths"] = [str(each) for each in extra]
        self.report_progress(1.0, "done")
        return response

    def _step(self, fraction: float, stage: str) -> None:
        self.check_cancelled()
        self.report_progress(fraction, stage)
