"""Stand-in: what Hunyuan3D's clean-up of a mesh uses of MeshLab."""

from __future__ import annotations

from typing import Any

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class Mesh:
    """Named in upstream's annotations."""


class MeshSet:
    """Holds one mesh."""

    def load_new_mesh(self, path: str) -> None:
        self._mesh = trimesh.load_mesh(path, process=False)

    def save_current_mesh(self, path: str) -> None:
        self._mesh.export(path)

    def current_mesh(self) -> MeshSet:
        return self

    def face_number(self) -> int:
        return len(self._mesh.faces)

    def apply_filter(self, name: str, **options: Any) -> None:
        getattr(self, f"_{name}")(**options)

    def _compute_selection_by_small_disconnected_components_per_face(self, nbfaceratio: float) -> None:
        """Those of fewer faces than this share of the largest one's."""
        faces, count = np.asarray(self._mesh.faces), len(self._mesh.vertices)
        start, end = faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel()
        edges = coo_array((np.ones(len(start), dtype=np.int8), (start, end)), shape=(count, count))
        _, part = connected_components(edges, directed=False)
        sizes = np.bincount(part[faces[:, 0]])
        self._selected = (sizes < sizes.max() * nbfaceratio)[part[faces[:, 0]]]

    def _compute_selection_transfer_face_to_vertex(self, inclusive: bool) -> None:
        """Vertices go with their faces."""

    def _meshing_remove_selected_vertices_and_faces(self) -> None:
        self._mesh.update_faces(~self._selected)
        self._mesh.remove_unreferenced_vertices()
