"""A part without what compiled libraries stumble over: equal vertices are one, triangles without an area are gone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .triangles import FloatArray, IntArray, areas
from .weld import weld_vertices


class Clean(NamedTuple):
    """What is left of a part."""

    #: (V, 3)
    vertices: FloatArray
    #: (F, 3)
    faces: IntArray
    #: Triangles that were left out: without an area, or there twice.
    dropped: int


def cleaned(vertices: FloatArray, faces: IntArray, also: Any = None) -> Clean:
    """Weld vertices (V, 3) that are equal, also in the values `also` (V, E), and drop what encloses no area."""
    place, first = weld_vertices(vertices, also=also)
    points, joined = np.asarray(vertices, dtype=np.float64)[first], place[faces]
    low, high = points.min(axis=0), points.max(axis=0)
    # A millionth of a millionth of the box's largest face: below it single precision has no area left.
    least = 1e-12 * float((high - low).max()) ** 2
    a, b, c = joined.T
    kept = (a != b) & (b != c) & (c != a) & (areas(points[joined]) > least)
    _, once = np.unique(np.sort(joined[kept], axis=1), axis=0, return_index=True)
    sound = joined[kept][np.sort(once)]
    used, sound = np.unique(sound, return_inverse=True)
    return Clean(points[used], sound.reshape(-1, 3), len(faces) - len(sound.reshape(-1, 3)))


def compacted(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """The vertices that faces (F, K) use, and the faces over them."""
    used, numbers = np.unique(faces, return_inverse=True)
    return vertices[used], numbers.reshape(faces.shape)
