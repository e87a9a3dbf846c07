"""`curve-skeleton-auto-rig`: a mesh in, the same mesh with a skeleton and skin weights out. Classical, no weights file.

The heavy imports happen when it works, so that the class can be described without them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidInput
from ..input_checks import whole_number
from ..installed import missing_packages
from ..rig_models import AutoRigModel

_BONES = (3, 256)
_NEEDED = ("numpy", "scipy", "trimesh", "PIL", "pygltflib")


class CurveSkeletonAutoRigAdapter(AutoRigModel):
    """Curve skeleton of the fused solid as bones, weights by bone heat. It knows shapes, not what they depict.

    Joints are named by where they are (`limb_3_2`), no one of them is called an arm. A limb is what stands out of the
    body; arms held against it are found only where the mesh has a gap wider than about 1/50 of its size.

    Args:
        model_id: its name.
        vram_requirement: MB; it runs on the CPU whatever its device.
        max_concurrent: meshes at once.
        feature_type: `auto_rig`.
    """

    devices: ClassVar[tuple[str, ...]] = ("cuda", "cpu")
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb", "obj", "ply", "stl", "off")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)

    def __init__(
        self,
        model_id: str = "curve-skeleton-auto-rig",
        vram_requirement: int = 1024,
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
                "output_format": {
                    "type": "string",
                    "enum": list(self.supported_output_formats),
                    "default": "glb",
                    "description": "of the rigged mesh; fbx needs an adapter that has Blender",
                },
                "bone_count": {
                    "type": "integer",
                    "minimum": _BONES[0],
                    "maximum": _BONES[1],
                    "description": "joints at most, the root included; without it as many as the shape asks for",
                },
            },
            "required": ["mesh_path"],
            "additionalProperties": False,
        }

    def _default_output_format(self, inputs: dict[str, Any]) -> str:
        return "glb"

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh, a format that can be written, and a sound number of bones."""
        super().validate_inputs(inputs)
        self._validate_common_inputs(inputs)
        _most_bones(inputs)

    def _load_model(self) -> str:
        from . import rig

        return rig.__name__

    def _unload_model(self) -> None:
        """There is nothing to free."""

    def _process_request(self, inputs: dict[str, Any]) -> dict[str, Any]:
        from ..mesh_input import ignored_parts, read_mesh, read_scene
        from ..mesh_result import describe_mesh
        from ..skinned_glb import add_skin, read_skinned
        from .preview import draw_bones
        from .rig import METHOD, SOURCES, NotRiggable, make_rig
        from .source_glb import world_glb

        response: dict[str, Any] = super()._process_request(inputs)
        source = self._mesh_path(inputs)

        def step(fraction: float, stage: str) -> None:
            self.check_cancelled()
            self.report_progress(fraction, stage)

        step(0.01, "reading the mesh")
        scene = read_scene(source)
        mesh = read_mesh(source)
        try:
            rig = make_rig(mesh, _most_bones(inputs), step)
        except NotRiggable as error:
            raise InvalidInput(f"{source.name}: {error}", "mesh_path") from error
        step(0.8, "binding the mesh")
        target = Path(response["output_mesh_path"])
        target.write_bytes(add_skin(world_glb(scene), rig.skeleton, rig.weigh))
        step(0.9, "reading it again")
        written = read_skinned(target)
        described = describe_mesh(target, self.output_dir)
        preview = self.output_dir / "skeleton_preview.png"
        draw_bones(rig.surface, rig.skeleton).save(preview)
        used = {int(joint) for part in written.parts for joint in part.joints[part.weights > 0]}
        response["bone_count"] = len(written.skeleton.names)
        response["rig_info"] = {
            # Which animal it is, the method does not know.
            "rig_type": "unknown",
            "symmetry": False,
            "success": True,
            "method": METHOD,
            "sources": list(SOURCES),
            "bone_count": len(written.skeleton.names),
            "bones_with_vertices": len(used),
            "max_influences": int(max((part.weights > 0).sum(axis=1).max() for part in written.parts)),
            **rig.facts,
            "input_mesh": source.name,
            "ignored": ignored_parts(scene),
            "statistics": described["statistics"],
            "output_format": "glb",
        }
        response["thumbnail_path"] = described["thumbnail_path"]
        response["skeleton_preview_path"] = str(preview)
        self.report_progress(1.0, "done")
        return response


def _most_bones(inputs: dict[str, Any]) -> int | None:
    if inputs.get("bone_count") is None:
        return None
    return whole_number(inputs, "bone_count", _BONES[1], *_BONES)
