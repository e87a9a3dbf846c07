"""Base classes of adapters that take a mesh apart, and complete its parts."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from .authoring.input_checks import whole_number
from .mesh_models import MeshInputModel

_DEFAULT_PARTS = 8
_MAX_PARTS = 1000


class MeshSegmentationModel(MeshInputModel):
    """Requires `mesh_path`; takes `num_parts` (1 to 1000, default 8), `output_format` and what the adapter adds."""

    default_feature: ClassVar[str] = "mesh_segmentation"
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb",)
    default_output_formats: ClassVar[tuple[str, ...]] = ("glb",)
    purpose: ClassVar[str] = "mesh segmentation"

    def _num_parts(self, inputs: dict[str, Any]) -> int:
        """The wanted number of parts."""
        return whole_number(inputs, "num_parts", _DEFAULT_PARTS, 1, _MAX_PARTS)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh that exists and a sound number of parts."""
        self._mesh_path(inputs)
        self._num_parts(inputs)
        super().validate_inputs(inputs)

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, num_parts (as wanted; the adapter puts in what it
        found), segmentation_info.
        """
        self._mesh_path(inputs)
        return self._checked_response(inputs, "segmentation_info", {}, num_parts=self._num_parts(inputs))


class PartCompletionModel(MeshInputModel):
    """Requires `mesh_path`: a scene of parts; completes each."""

    default_feature: ClassVar[str] = "part_completion"
    default_input_formats: ClassVar[tuple[str, ...]] = ("glb",)
    purpose: ClassVar[str] = "part completion"

    @abstractmethod
    def _process_request(self, inputs: dict[str, Any]) -> Any:
        """The checked common answer: output_mesh_path, success, completion_info."""
        self._mesh_path(inputs)
        return self._checked_response(inputs, "completion_info", {})
