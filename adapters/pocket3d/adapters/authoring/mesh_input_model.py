"""The base of adapters that take a mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ..base import BaseModel
from .input_checks import required_file


class MeshInputModel(BaseModel):
    """Requires `mesh_path`, a local file of one of the supported input formats."""

    #: What the mesh is required for, in words of the refusal.
    purpose: ClassVar[str] = "this adapter"

    def _mesh_path(self, inputs: dict[str, Any]) -> Path:
        """The mesh.

        Raises:
            InvalidInput: missing, or of another format.
            FileNotFoundError: the file is not there.
        """
        return required_file(inputs, "mesh_path", self.supported_input_formats, self.purpose)

    def validate_inputs(self, inputs: dict[str, Any]) -> None:
        """A mesh that exists, of a supported format, and what `options_type` allows."""
        self._mesh_path(inputs)
        super().validate_inputs(inputs)
