"""Closes one part and keeps its looks: caps have vertices of their own, with the coordinates and colours of the rim."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...mesh.write import MeshPart, vertex_normals
from .holes import Filled, fill_holes


class ClosedPart(NamedTuple):
    """The part, the filled holes, and the reason if it could not be closed."""

    part: MeshPart
    filled: Filled
    note: str | None

    def facts(self) -> dict[str, Any]:
        """What the answer says about the part."""
        return {
            "name": self.part.name,
            "holes": [{"edges": hole.edges, "area": hole.area} for hole in self.filled.holes],
            "watertight": self.filled.volume is not None,
            "volume": self.filled.volume,
            "note": self.note,
        }


def close_part(part: MeshPart) -> ClosedPart:
    """Fill the part's holes; all that was there stays as it is."""
    filled = fill_holes(part.vertices, part.faces)
    if not len(filled.faces):
        return ClosedPart(part, filled, _note(filled))
    rim, inverse = np.unique(filled.faces, return_inverse=True)
    caps = inverse.reshape(-1, 3)
    closed = part._replace(
        vertices=np.concatenate([part.vertices, part.vertices[rim]]),
        faces=np.concatenate([part.faces, caps + len(part.vertices)]),
        normals=np.concatenate([part.normals, vertex_normals(part.vertices[rim], caps)]),
        uv=None if part.uv is None else np.concatenate([part.uv, part.uv[rim]]),
        colours=None if part.colours is None else np.concatenate([part.colours, part.colours[rim]]),
    )
    return ClosedPart(closed, filled, _note(filled))


def _note(filled: Filled) -> str | None:
    if filled.bad_edges:
        return f"it has no inside: {filled.bad_edges} edges have too many faces, or two that face opposite ways"
    if filled.open_edges and not filled.holes:
        return f"a sheet: closing its {filled.open_edges} open edges would enclose nothing; it is left open"
    if filled.open_edges:
        return f"{filled.open_edges} open edges form no loop and are left open"
    if filled.volume is not None and filled.volume < 0:
        return "its faces look inwards"
    return None
