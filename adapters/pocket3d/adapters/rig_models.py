"""Base class of adapters that put a skeleton into a mesh."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from .mesh_models import MeshInputModel


class AutoRigModel(MeshInputModel):
    """Requires `mesh_path`; takes `output_format` (default: the input's), `rig_type` and what the adapter adds."""

    default_feature: ClassVar[str] = "auto_rig"
    default_input_formats: ClassVar[tuple[str, ...]] = ("obj", "glb", "fbx")
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb", "fbx")
    purpose: ClassVar[str] = "auto-rigging"

    def _default_output_format(self, inputs: dict[str, Any]) -> str:
        given = Path(str(inputs.get("mesh_path", ""))).suffix.lower().removeprefix(".")
        return given if given in self.supported_output_formats else super()._default_output_format(inputs)

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, rig_info. `bone_count` is the adapter's to count."""
        self._mesh_path(inputs)
        info = {"rig_type": inputs.get("rig_type", "humanoid"), "symmetry": inputs.get("symmetry", True)}
        return self._checked_response(inputs, "rig_info", info)
