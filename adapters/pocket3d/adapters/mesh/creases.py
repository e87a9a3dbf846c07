"""Vertices are doubled at creases: glTF has one normal for each vertex, so what is sharp needs several."""

from __future__ import annotations

import numpy as np

from .triangles import FloatArray, IntArray, corner_normals
from .weld import weld_vertices
from .write import MeshPart


def split_at_creases(
    vertices: FloatArray, faces: IntArray, normals: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Double the vertices (V, 3) of faces (F, 3) whose normals (V, 3) are far from that of a face (40 degrees).

    Returns:
        (W,) the vertex that each new one is a copy of; (F, 3) faces; (W, 3) unit normals.
    """
    chosen = corner_normals(normals, faces, vertices[faces]).reshape(-1, 3)
    # Equal up to a thousandth: the faces of one plane share their corners.
    owner = faces.reshape(-1)
    place, first = weld_vertices(owner[:, None], also=np.round(chosen * 1000))
    return owner[first], place.reshape(-1, 3), chosen[first]


def sharpened(part: MeshPart) -> MeshPart:
    """The part with its vertices doubled at creases, without quadrilaterals."""
    source, faces, normals = split_at_creases(part.vertices, part.faces, part.normals)
    return part._replace(
        vertices=part.vertices[source],
        faces=faces,
        normals=normals,
        uv=None if part.uv is None else part.uv[source],
        colours=None if part.colours is None else part.colours[source],
        quads=None,
    )
