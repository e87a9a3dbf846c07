"""OFF as Geomview, MeshLab and CGAL write it: vertices with normals and colours, faces with colours."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from .found import Found, FoundPart, fan, opaque
from .limits import MeshLimits, Refused
from .text_lines import Numbers, TextLines, plain_text, without_comments

_HEAD = re.compile(rb"(ST)?(C)?(N)?(4)?(n)?OFF\b", re.IGNORECASE)


def read_off(data: bytes, limits: MeshLimits) -> Found:
    """Read an OFF file.

    Raises:
        Refused: no OFF, too large, fewer lines than it claims, or something that is no number.
    """
    lines = TextLines(without_comments(plain_text(data)))
    filled = np.flatnonzero(lines.words > 0)
    first = lines.text(int(filled[0])) if len(filled) else b""
    head = _HEAD.match(first)
    if head is None:
        raise Refused("no OFF file: it does not begin with OFF")
    counted = first[head.end() :]
    if b"binary" in counted.lower():
        raise Refused("it is a binary OFF file; export it as text, or as PLY")
    if head[4] or head[5]:
        raise Refused("its vertices have four or more coordinates; export it with three")
    used = 1
    if not counted.strip() and len(filled) > 1:
        counted, used = lines.text(int(filled[1])), 2
    vertices, faces = _counts(counted)
    limits.check_counts(vertices, faces)
    rows = filled[used : used + vertices + faces]
    if len(rows) < vertices + faces:
        raise Refused(
            f"it ends early: {vertices} vertices and {faces} faces are announced, {len(rows)} lines are there"
        )
    places, normals, colours = _vertices(lines, _which(lines, rows[:vertices]), normals=bool(head[3]))
    numbers = _faces(lines, _which(lines, rows[vertices:]))
    corners = _corner_counts(numbers)
    limits.check_counts(vertices, int((corners - 2).sum()))
    index = _indices(numbers, corners, vertices)
    triangles = index[fan(np.cumsum(corners) - corners, corners)]
    face_colours = None if colours is not None else _face_colours(lines, numbers, corners)
    if face_colours is not None:
        face_colours = np.repeat(face_colours, corners - 2, axis=0)
    rest = len(filled) - used - len(rows)
    ignored = (f"{rest} lines behind the last face",) if rest else ()
    part = FoundPart("mesh", places, triangles, normals=normals, colours=colours, face_colours=face_colours)
    return Found([part], ignored)


def _counts(text: bytes) -> tuple[int, int]:
    words = text.split()[:2]
    try:
        if any(len(each) > 18 for each in words):
            raise ValueError
        vertices, faces = (int(each) for each in words)
    except ValueError as error:
        raise Refused("the line of counts is broken; want 'vertices faces edges'") from error
    if vertices < 1 or faces < 1:
        cloud = "; a point cloud is no mesh: reconstruct its surface first" if vertices > 0 else ""
        raise Refused(f"no surface: {vertices} vertices and {faces} faces{cloud}")
    return vertices, faces


def _which(lines: TextLines, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(len(lines.words), dtype=bool)
    chosen[rows] = True
    return chosen


def _vertices(
    lines: TextLines, which: npt.NDArray[np.bool_], *, normals: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]:
    numbers = lines.numbers(which)
    least = int(numbers.counts.min())
    if least < 3:
        line = int(np.flatnonzero(which)[int(numbers.counts.argmin())])
        raise Refused(f"line {line + 1}: a vertex needs 3 numbers, got {least}")
    after = 6 if normals and least >= 6 else 3
    colours = None
    # Two more would be texture coordinates; a colour has three or four.
    if least - after >= 3:
        values = numbers.columns(after, min(least, after + 4))
        colours = opaque(values, _scale(values, lines.text(int(np.flatnonzero(which)[0])).split()[after:]))
    own = np.ascontiguousarray(numbers.columns(3, 6)) if after == 6 else None
    return np.ascontiguousarray(numbers.columns(0, 3)), own, colours


def _scale(values: npt.NDArray[np.float64], words: list[bytes]) -> float:
    """What full strength is: 255, or 1 where colours are written with a point."""
    return 1.0 if values.max() <= 1 and any(b"." in word for word in words) else 255.0


def _faces(lines: TextLines, which: npt.NDArray[np.bool_]) -> Numbers:
    return lines.numbers(which)


def _corner_counts(numbers: Numbers) -> npt.NDArray[np.int64]:
    corners = numbers.values[numbers.starts]
    wrong = ~((corners >= 3) & (corners == np.floor(corners)) & (corners < numbers.counts))
    if wrong.any():
        face = int(wrong.argmax())
        raise Refused(
            f"face {face + 1}: {corners[face]:.12g} corners are announced, {int(numbers.counts[face]) - 1} numbers"
            " follow; want 3 or more"
        )
    return corners.astype(np.int64)


def _indices(numbers: Numbers, corners: npt.NDArray[np.int64], vertices: int) -> npt.NDArray[np.int64]:
    """(C,) vertices of all corners."""
    each = np.arange(int(corners.sum())) - np.repeat(np.cumsum(corners) - corners, corners)
    values = numbers.values[np.repeat(numbers.starts, corners) + 1 + each]
    wrong = ~((values >= 0) & (values < vertices) & (values == np.floor(values)))
    if wrong.any():
        raise Refused(f"a face points to vertex {values[int(wrong.argmax())]:.12g}; there are {vertices}, from 0")
    index: npt.NDArray[np.int64] = values.astype(np.int64)
    return index


def _face_colours(lines: TextLines, numbers: Numbers, corners: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
    """(F, 4), white for a face without; None if no face has a colour of three or four numbers."""
    behind = numbers.counts - 1 - corners
    coloured = (behind == 3) | (behind == 4)
    if not coloured.any():
        return None
    starts = (numbers.starts + 1 + corners)[coloured]
    values = numbers.values[starts[:, None] + np.arange(3)]
    whole = bool((values == np.floor(values)).all())
    colours = np.ones((len(corners), 4))
    # Whole numbers are 0..255; others 0..1.
    colours[coloured] = opaque(values, 255.0 if values.max() > 1 or (whole and values.max() > 0) else 1.0)
    return colours
