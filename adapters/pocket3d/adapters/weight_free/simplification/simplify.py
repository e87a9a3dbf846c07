"""Simplifies each part of a scene, keeps its texture or colours, and measures how far the outcome is from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...mesh.appearance import colours_at, uv_at
from ...mesh.clean import Clean, cleaned, compacted
from ...mesh.input import MeshLimits
from ...mesh.nearest import Places, Surface, deviation
from ...mesh.triangles import FloatArray, IntArray, areas, body_labels
from ...mesh.write import MeshPart, is_watertight, vertex_normals
from ...runtime.native_call import NativeFailed, call_native

METHOD = "quadric error metrics (fast-simplification)"
SOURCE = "Garland and Heckbert 1997 (Surface Simplification Using Quadric Error Metrics)"
LIMITS = MeshLimits(max_faces=5_000_000, max_vertices=5_000_000)
#: MB of the library's process: to start it, and for each million triangles (measured: 543 in all for 1.3 million).
_MEMORY_BASE, _MEMORY_PER_MILLION = 768, 1024
#: A piece is left no fewer faces: the fewest that enclose something.
_LEAST_FACES = 4
#: More faces than wanted by this share are told.
_NEAR = 1.1


class NoSimplification(ValueError):
    """The mesh cannot be simplified; the message says why."""


class Simplified(NamedTuple):
    """The new parts, whose faces share vertices, and what was measured."""

    parts: list[MeshPart]
    facts: dict[str, Any]


class _Piece(NamedTuple):
    """What is simplified by itself: a part, or one chart of its texture."""

    part: int
    clean: Clean
    #: (F,) the part's faces to which texture coordinates of this piece belong.
    owned: IntArray


def simplified(
    parts: Sequence[MeshPart],
    *,
    target: int,
    keep_texture: bool,
    keep_borders: bool,
    folder: Path,
    step: Callable[[float, str], None],
    check: Callable[[], None],
) -> Simplified:
    """Simplify to `target` faces in all, by each piece's share.

    With `keep_texture` each chart of a texture is a piece whose border stays, so charts go on meeting. `step` is told
    (share, stage), `check` raises to end.

    Raises:
        NoSimplification: no area, or the library gave up.
    """
    step(0.0, "cleaning the surface")
    pieces = [
        piece
        for number, part in enumerate(parts)
        for piece in _pieces(number, part, textured=keep_texture and part.texture is not None)
    ]
    faces_before = sum(len(part.faces) for part in parts)
    sound = sum(len(piece.clean.faces) for piece in pieces)
    if not sound:
        raise NoSimplification("no triangle of it encloses an area")
    step(0.1, "removing vertices")
    made = _called(pieces, target, sound, parts, keep_texture, keep_borders, folder, check)
    step(0.5, "putting its look onto the new faces")
    new = [_part(part, number, pieces, made, keep_texture) for number, part in enumerate(parts)]
    kept = [part for part in new if part is not None]
    step(0.7, "measuring how far it is from the old one")
    before = np.concatenate([piece.clean.vertices[piece.clean.faces] for piece in pieces])
    after = np.concatenate([part.vertices[part.faces] for part in kept])
    count = len(after)
    facts = {
        "target_faces": target,
        "faces_before": faces_before,
        "faces_after": count,
        "ratio": round(count / faces_before, 6),
        "deviation": deviation(before, after).facts(),
        "dropped_faces": faces_before - sound,
        "warnings": [
            *_warnings(parts, kept, target, count, keep_texture, keep_borders),
            *_opened([piece.clean for piece in pieces], made),
        ],
    }
    return Simplified(kept, facts)


def _pieces(number: int, part: MeshPart, *, textured: bool) -> list[_Piece]:
    if not textured or part.uv is None:
        clean = cleaned(part.vertices, part.faces)
        return [_Piece(number, clean, np.arange(len(part.faces)))] if len(clean.faces) else []
    # Vertices that agree in place and texture coordinates: what they connect is a chart.
    corners = np.concatenate([part.vertices, part.uv], axis=1)
    _, joined = np.unique(corners, axis=0, return_inverse=True)
    chart_of = body_labels(int(joined.max()) + 1, joined.reshape(-1)[part.faces])
    order = np.argsort(chart_of, kind="stable")
    found = []
    for owned in np.split(order, np.cumsum(np.bincount(chart_of))[:-1]):
        vertices, faces = compacted(part.vertices, part.faces[owned])
        used = np.unique(part.faces[owned])
        clean = cleaned(vertices, faces, also=part.uv[used])
        if len(clean.faces):
            found.append(_Piece(number, clean, owned))
    return found


def _called(
    pieces: Sequence[_Piece],
    target: int,
    sound: int,
    parts: Sequence[MeshPart],
    keep_texture: bool,
    keep_borders: bool,
    folder: Path,
    check: Callable[[], None],
) -> list[tuple[FloatArray, IntArray]]:
    low = np.min([piece.clean.vertices.min(axis=0) for piece in pieces], axis=0)
    high = np.max([piece.clean.vertices.max(axis=0) for piece in pieces], axis=0)
    # The library's errors have bounds that are no shares of the size.
    centre, scale = (low + high) / 2, float((high - low).max())
    arrays: dict[str, Any] = {}
    targets = []
    for number, piece in enumerate(pieces):
        arrays[f"vertices_{number}"] = (piece.clean.vertices - centre) / scale
        arrays[f"faces_{number}"] = piece.clean.faces
        count = len(piece.clean.faces)
        targets.append(min(max(round(target * count / sound), _LEAST_FACES), count))
    charts = keep_texture and any(part.texture is not None for part in parts)
    try:
        made = call_native(
            "pocket3d.adapters.weight_free.simplification.library:simplify",
            arrays,
            {"targets": targets, "borders": keep_borders or charts},
            folder=folder,
            memory_mb=_MEMORY_BASE + _MEMORY_PER_MILLION * sound // 1_000_000,
            check=check,
        )
    except NativeFailed as error:
        raise NoSimplification(f"fast-simplification gave up: {error}") from error
    return [(made[f"vertices_{number}"] * scale + centre, made[f"faces_{number}"]) for number in range(len(pieces))]


def _part(
    part: MeshPart,
    number: int,
    pieces: Sequence[_Piece],
    made: Sequence[tuple[FloatArray, IntArray]],
    keep_texture: bool,
) -> MeshPart | None:
    """The part's new faces with its look; None where nothing of it is left."""
    points, faces = [], []
    coordinates: list[FloatArray] = []
    colours: list[npt.NDArray[np.uint8]] = []
    count = 0
    for piece, (vertices, triangles) in zip(pieces, made, strict=True):
        if piece.part != number:
            continue
        vertices, triangles = _sound(vertices, triangles)
        if len(triangles) == 0:
            continue
        if part.texture is not None or part.colours is not None:
            _, places = Surface(part.vertices[part.faces[piece.owned]]).nearest(vertices)
            places = Places(places.points, piece.owned[places.triangle], places.weights)
            plain = part._replace(texture=None) if keep_texture else part
            found, uv = colours_at(plain, places), uv_at(part, places)
            colours += [] if found is None else [found]
            coordinates += [] if uv is None else [uv]
        points.append(vertices)
        faces.append(triangles + count)
        count += len(vertices)
    if not points:
        return None
    joined, triangles = np.concatenate(points), np.concatenate(faces)
    textured = keep_texture and part.texture is not None
    return part._replace(
        vertices=joined,
        faces=triangles,
        normals=vertex_normals(joined, triangles),
        uv=np.concatenate(coordinates) if textured else None,
        texture=part.texture if textured else None,
        colours=np.concatenate(colours) if colours else None,
    )


def _sound(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Without faces of no area: removing vertices may leave some."""
    a, b, c = faces.T
    kept = (a != b) & (b != c) & (c != a) & (areas(vertices[faces]) > 0)
    return compacted(vertices, faces[kept])


def _warnings(
    before: Sequence[MeshPart],
    after: Sequence[MeshPart],
    target: int,
    count: int,
    keep_texture: bool,
    keep_borders: bool,
) -> list[str]:
    found = []
    textured = any(part.texture is not None for part in before)
    if textured and not keep_texture:
        found.append("textures are left out; their colours are at the vertices")
    if len(after) < len(before):
        found.append(f"{len(before) - len(after)} parts of no area are left out")
    if count > _NEAR * target:
        reason = "a piece of a closed surface has 4 at least"
        if textured and keep_texture:
            reason = "the borders of its texture's charts stay; keep_texture=false lets them go"
        elif keep_borders:
            reason = "open borders stay; keep_borders=false lets them go"
        found.append(f"{count} faces, not {target}: {reason}")
    return found


def _opened(before: Sequence[Clean], after: Sequence[tuple[FloatArray, IntArray]]) -> list[str]:
    """Pieces that were closed and are not any more."""
    pairs = zip(before, after, strict=True)
    count = sum(is_watertight(old.faces) and not is_watertight(_sound(*new)[1]) for old, new in pairs)
    return [f"{count} closed pieces are not closed any more; ask for more faces"] if count else []
