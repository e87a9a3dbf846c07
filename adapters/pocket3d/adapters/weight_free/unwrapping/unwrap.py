"""Lays a scene's surface out in one texture, judges the layout, and moves the old texture to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...mesh.appearance import texels, uv_at
from ...mesh.clean import cleaned
from ...mesh.nearest import Places
from ...mesh.triangles import FloatArray, IntArray, body_labels, face_normals
from ...mesh.write import MeshPart
from ...runtime.native_call import NativeCrashed, NativeFailed, call_native
from ..texturing.atlas import Texels, fill, rasterise
from .stretch import stretch

METHOD = "xatlas"
#: The library's process takes this many MB to start, and this many for each thousand triangles.
_MEMORY_BASE, _MEMORY_PER_THOUSAND = 1024, 10
#: Texels along a side of the picture of the layout.
_PICTURE = 512


class NoUnwrap(ValueError):
    """The surface cannot be laid out; the message says why."""


class Unwrapped(NamedTuple):
    """The parts with their texture coordinates, what was measured, and the layout as a (R, R, 3) picture."""

    parts: list[MeshPart]
    facts: dict[str, Any]
    picture: npt.NDArray[np.uint8]


def unwrapped(
    parts: Sequence[MeshPart],
    *,
    resolution: int,
    padding: int,
    allowed_stretch: float,
    device: str,
    folder: Path,
    step: Callable[[float, str], None],
    check: Callable[[], None],
) -> Unwrapped:
    """Lay out all parts in one texture of `resolution` texels a side, charts `padding` texels apart.

    `step` is told (share, stage), `check` raises to end.

    Raises:
        NoUnwrap: no area, or the library gave up.
    """
    step(0.0, "cutting the surface into charts")
    faces = sum(len(part.faces) for part in parts)
    options = {"resolution": resolution, "padding": padding, "stretch": allowed_stretch}

    def call(arrays: dict[str, Any], count: int) -> dict[str, Any]:
        return call_native(
            "pocket3d.adapters.weight_free.unwrapping.library:unwrap",
            arrays,
            {**options, "count": count},
            folder=folder,
            memory_mb=_MEMORY_BASE + _MEMORY_PER_THOUSAND * faces // 1000,
            check=check,
        )

    made, warnings = _laid_out(parts, call)
    step(0.5, "judging the layout")
    new = [_part(part, *each) for part, each in zip(parts, made, strict=True)]
    chart, charts = _charts(new)
    corners = np.concatenate([part.vertices[part.faces] for part in new])
    uv = np.concatenate([_uv(part)[part.faces] for part in new])
    shown = rasterise(uv, resolution, device, lambda share: step(0.5 + 0.2 * share, "laying out the texels"))
    painted = _moved(parts, new, shown, resolution, step)
    if shown.overlapping:
        warnings.append(f"{shown.overlapping} texels show two places of the surface: faces lie on one another")
    picture = _picture(uv, chart, device)
    facts = {
        "charts": charts,
        "resolution": resolution,
        "padding": padding,
        "coverage_percent": round(100 * len(shown.where) / resolution**2, 2),
        "overlapping_texels": shown.overlapping,
        **stretch(corners, uv, chart),
        "texture_moved": painted is not None,
        "warnings": warnings,
    }
    return Unwrapped(new if painted is None else painted, facts, picture)


def _laid_out(
    parts: Sequence[MeshPart], call: Callable[[dict[str, Any], int], dict[str, Any]]
) -> tuple[list[tuple[IntArray, IntArray, FloatArray]], list[str]]:
    """For each part (W,) the vertex that each new one copies, (F, 3) faces in their old order, (W, 2) coordinates; and
    warnings.
    """
    if not any(len(cleaned(part.vertices, part.faces).faces) for part in parts):
        raise NoUnwrap("no triangle of it encloses an area")
    whole = [[np.arange(len(part.faces))] for part in parts]
    try:
        try:
            return _pieces_laid_out(parts, whole, call), []
        except NativeCrashed:
            # It takes dense smooth surfaces for planes until one bends back onto itself (xatlas, issues 146 and 151).
            made = _pieces_laid_out(parts, [_by_direction(part) for part in parts], call)
            return made, ["xatlas crashed on the whole surface: it was cut by direction first, which makes more charts"]
    except NativeFailed as error:
        raise NoUnwrap(f"xatlas gave up: {error}") from error


def _by_direction(part: MeshPart) -> list[IntArray]:
    """The faces that look most along each of 26 directions, those of a cube's sides, edges and corners: no two of a
    piece look further apart than 60 degrees, so it can be laid onto the plane of any of them.
    """
    grid = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], dtype=float)
    directions = grid / np.linalg.norm(grid, axis=1, keepdims=True)
    nearest = (face_normals(part.vertices[part.faces]) @ directions.T).argmax(axis=1)
    return [faces for faces in (np.flatnonzero(nearest == number) for number in range(len(grid))) if len(faces)]


def _pieces_laid_out(
    parts: Sequence[MeshPart],
    pieces: Sequence[Sequence[IntArray]],
    call: Callable[[dict[str, Any], int], dict[str, Any]],
) -> list[tuple[IntArray, IntArray, FloatArray]]:
    low = np.min([part.vertices.min(axis=0) for part in parts], axis=0)
    high = np.max([part.vertices.max(axis=0) for part in parts], axis=0)
    # The library computes in single precision, with bounds that are no shares of the size.
    centre, scale = (low + high) / 2, float((high - low).max())
    arrays: dict[str, Any] = {}
    used: list[IntArray] = []
    for part, cuts in zip(parts, pieces, strict=True):
        for owned in cuts:
            kept, faces = np.unique(part.faces[owned], return_inverse=True)
            arrays[f"vertices_{len(used)}"] = (part.vertices[kept] - centre) / scale
            arrays[f"faces_{len(used)}"] = faces.reshape(-1, 3)
            used.append(kept)
    made = call(arrays, len(used))
    if made["atlases"] == 0:
        raise NoUnwrap("xatlas finds no surface in it")
    if made["atlases"] != 1:
        raise NoUnwrap(f"it needs {made['atlases']} textures of that size; ask for more texels")
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    number = 0
    for part, cuts in zip(parts, pieces, strict=True):
        sources, coordinates, faces = [], [], np.zeros_like(part.faces)
        count = 0
        for owned in cuts:
            sources.append(used[number][made[f"source_{number}"]])
            coordinates.append(made[f"uv_{number}"])
            faces[owned] = made[f"faces_{number}"] + count
            count += len(sources[-1])
            number += 1
        found.append((np.concatenate(sources), faces, np.concatenate(coordinates)))
    return found


def _part(part: MeshPart, source: IntArray, faces: IntArray, uv: FloatArray) -> MeshPart:
    return part._replace(
        vertices=part.vertices[source],
        faces=faces,
        normals=part.normals[source],
        uv=uv,
        texture=None,
        colours=None if part.colours is None else part.colours[source],
    )


def _uv(part: MeshPart) -> FloatArray:
    assert part.uv is not None
    return part.uv


def _charts(parts: Sequence[MeshPart]) -> tuple[IntArray, int]:
    """(F,) number of the chart of each face, and how many there are: charts share no vertices."""
    count, found = 0, []
    for part in parts:
        labels = body_labels(len(part.vertices), part.faces)
        found.append(labels + count)
        count += int(labels.max()) + 1
    return np.concatenate(found), count


def _moved(
    before: Sequence[MeshPart],
    new: Sequence[MeshPart],
    shown: Texels,
    resolution: int,
    step: Callable[[float, str], None],
) -> list[MeshPart] | None:
    """The parts with one texture made of their old ones; None where none has one. xatlas keeps the order of faces."""
    if all(part.texture is None for part in before):
        return None
    step(0.75, "moving the texture")
    where, triangle = shown.where.cpu().numpy(), shown.triangle.cpu().numpy()
    weights = shown.weights.cpu().numpy().astype(np.float64)
    pixels = np.full((resolution * resolution, 3), 255, dtype=np.uint8)
    start = 0
    for part in before:
        mine = (triangle >= start) & (triangle < start + len(part.faces))
        places = Places(np.zeros((0, 3)), triangle[mine] - start, weights[mine])
        coordinates = uv_at(part, places)
        if part.texture is not None and coordinates is not None:
            pixels[where[mine]] = (texels(part.texture, coordinates) + 0.5).astype(np.uint8)
        start += len(part.faces)
    covered = np.zeros((resolution, resolution), dtype=bool)
    covered.reshape(-1)[where] = True
    texture = fill(pixels.reshape(resolution, resolution, 3), covered)
    return [part._replace(texture=texture) for part in new]


def _picture(uv: FloatArray, chart: IntArray, device: str) -> npt.NDArray[np.uint8]:
    """The charts in colours, on black; texture coordinates as glTF has them, v downwards."""
    shown = rasterise(uv, _PICTURE, device)
    # Neighbouring numbers get unlike colours: multiples of primes.
    numbers = chart[shown.triangle.cpu().numpy()] + 1
    colours = np.stack([numbers * prime % 176 + 80 for prime in (67, 131, 199)], axis=1)
    picture = np.zeros((_PICTURE * _PICTURE, 3), dtype=np.uint8)
    picture[shown.where.cpu().numpy()] = colours
    return picture.reshape(_PICTURE, _PICTURE, 3)
