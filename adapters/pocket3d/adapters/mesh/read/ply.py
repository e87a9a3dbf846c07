"""PLY, text and binary: faces or triangle strips, with normals, colours and texture coordinates at vertices or faces.

What the header claims is held against the limits and the file's length before anything is decoded. Textures, which
are other files, are not opened. The format: Greg Turk, "The PLY Polygon File Format" (1994).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..weld import weld_vertices
from .found import Found, FoundPart, fan, opaque
from .limits import MeshLimits, Refused
from .ply_rows import Element, PlyLists, Rows, read_header, read_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_COLOURS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
_COORDINATES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
_CORNERS = ("vertex_indices", "vertex_index")
_SCALES = {"u1": 255.0, "u2": 65535.0, "i2": 32767.0, "i1": 127.0}


def read_ply(data: bytes, limits: MeshLimits) -> Found:
    """Read a PLY file.

    Raises:
        Refused: no PLY, too large, without a surface, or shorter than its header claims.
    """
    header = read_header(data)
    vertices, faces = header.count("vertex"), header.count("face")
    strips = header.count("tristrips")
    if not vertices or not (faces or strips):
        raise Refused(_nothing(header.elements, vertices, faces))
    # Elements beyond those are held in memory as well.
    limits.check_counts(vertices, faces)
    limits.check_counts(0, sum(each.rows for each in header.elements) - vertices)
    rows = read_rows(header)
    points = rows["vertex"]
    places = _columns(points, ("x", "y", "z"))
    if places is None:
        raise Refused("its vertices have no x, y and z")
    triangles, of_face = _triangles(rows, vertices, limits)
    normals = _columns(points, ("nx", "ny", "nz"))
    uv = next((found for names in _COORDINATES if (found := _columns(points, names)) is not None), None)
    colours = _colours(points)
    face_rows = rows.get("face")
    face_colours = None if colours is not None or face_rows is None else _colours(face_rows)
    if face_colours is not None:
        face_colours = face_colours[of_face]
    wedges = None if face_rows is None else _wedges(face_rows, of_face, triangles)
    part = FoundPart("mesh", places, triangles, normals, uv, colours, face_colours)
    if wedges is not None:
        part = _apart(part, wedges)
    elif uv is not None and face_colours is not None:
        part = _apart(part, uv[triangles].reshape(-1, 2))
    return Found([part], header.ignored)


def _nothing(elements: list[Element], vertices: int, faces: int) -> str:
    names = {column.name for each in elements if each.name == "vertex" for column in each.columns}
    said = f"no surface: {vertices} vertices and {faces} faces"
    if {"opacity", "scale_0", "rot_0"} <= names:
        return f"{said}. This is a file of 3D Gaussians (a splat), which has no mesh"
    if vertices:
        return f"{said}. This is a point cloud; make a mesh of it first, e.g. by Poisson reconstruction in MeshLab"
    return said


def _columns(rows: Rows, names: tuple[str, ...]) -> Floats | None:
    if any(name not in rows.scalars for name in names):
        return None
    return np.stack([rows.scalars[name].astype(np.float64) for name in names], axis=1)


def _colours(rows: Rows) -> Floats | None:
    """(N, 4) 0..1."""
    for names in _COLOURS:
        found = _columns(rows, names)
        if found is None:
            continue
        kind = rows.kinds[names[0]]
        scale = _SCALES.get(kind, 255.0 if len(found) and found.max() > 1 else 1.0)
        alpha = _columns(rows, ("alpha",))
        if alpha is not None and rows.kinds["alpha"] == kind:
            found = np.concatenate([found, alpha], axis=1)
        return opaque(found, scale)
    return None


def _triangles(rows: dict[str, Rows], vertices: int, limits: MeshLimits) -> tuple[Ints, Ints]:
    """(T, 3) vertices, and (T,) of which row of faces each is."""
    made: list[Ints] = []
    of_face: list[Ints] = []
    faces = rows.get("face")
    if faces is not None and faces.rows:
        lists = _corners(faces)
        counts = lists.counts
        if int(counts.min()) < 3:
            bad = int(counts.argmin())
            raise Refused(f"face {bad + 1} has {int(counts[bad])} corners; want 3 or more")
        limits.check_counts(vertices, int((counts - 2).sum()))
        made.append(lists.values.astype(np.int64)[fan(np.cumsum(counts) - counts, counts)])
        of_face.append(np.repeat(np.arange(len(counts)), counts - 2))
    strips = rows.get("tristrips")
    if strips is not None and strips.rows:
        lists = _corners(strips)
        limits.check_counts(vertices, len(lists.values))
        made.append(_strip_triangles(lists))
        of_face.append(np.zeros(len(made[-1]), dtype=np.int64))
    triangles = np.concatenate(made)
    if not len(triangles):
        raise Refused(f"no surface: {vertices} vertices and 0 faces")
    wrong = (triangles < 0) | (triangles >= vertices)
    if wrong.any():
        raise Refused(f"a face points to vertex {int(triangles[wrong][0])}; there are {vertices}, from 0")
    return triangles, np.concatenate(of_face)


def _corners(rows: Rows) -> PlyLists:
    for name in _CORNERS:
        if name in rows.lists:
            return rows.lists[name]
    raise Refused(f"its faces have no list {_CORNERS[0]}")


def _strip_triangles(lists: PlyLists) -> Ints:
    """Every second triangle of a strip runs the other way; -1 ends one, and so does the end of a list."""
    at = np.cumsum(lists.counts)[:-1]
    chain = np.insert(lists.values.astype(np.int64), at, -1)
    if len(chain) < 3:
        return np.empty((0, 3), dtype=np.int64)
    ends = np.where(chain < 0, np.arange(len(chain)), -1)
    since = np.arange(len(chain)) - np.maximum.accumulate(ends) - 1
    a, b, c = chain[:-2], chain[1:-1], chain[2:]
    whole = (a >= 0) & (b >= 0) & (c >= 0)
    odd = since[:-2] % 2 == 1
    triangles: Ints = np.stack([np.where(odd, b, a), np.where(odd, a, b), c], axis=1)
    # Strips are joined by triangles without area.
    real = whole & (a != b) & (b != c) & (c != a)
    found: Ints = triangles[real]
    return found


def _wedges(rows: Rows, of_face: Ints, triangles: Ints) -> Floats | None:
    """(3 T, 2) texture coordinates of each triangle's corners, as MeshLab writes them with each face."""
    lists = rows.lists.get("texcoord")
    if lists is None or len(lists.values) == 0:
        return None
    corners = _corners(rows)
    if not np.array_equal(lists.counts, corners.counts * 2) or int(of_face.max()) >= len(corners.counts):
        return None
    if len(of_face) != int((corners.counts - 2).sum()):
        return None
    order = fan(np.cumsum(corners.counts) - corners.counts, corners.counts).reshape(-1)
    pairs: Floats = lists.values.astype(np.float64).reshape(-1, 2)[order]
    return pairs


def _apart(part: FoundPart, uv: Floats) -> FoundPart:
    """Give each corner a vertex of its own, where texture coordinates or colours are those of faces."""
    flat = part.faces.reshape(-1)
    colours = part.colours[flat] if part.colours is not None else None
    if part.face_colours is not None:
        colours = np.repeat(part.face_colours, 3, axis=0)
    keys = np.column_stack([flat.astype(np.float64), uv, *([] if colours is None else [colours])])
    number, first = weld_vertices(keys)
    return part._replace(
        vertices=part.vertices[flat[first]],
        faces=number.reshape(-1, 3).astype(np.int64),
        normals=None if part.normals is None else part.normals[flat[first]],
        uv=uv[first],
        colours=None if colours is None else colours[first],
        face_colours=None,
    )
