"""Cuts surfaces into charts in one square, by xatlas in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...mesh.clean import cleaned
from ...mesh.triangles import FloatArray, IntArray, face_normals
from ...runtime.native_call import NativeCrashed, NativeFailed, call_native

#: The vertices (V, 3) and faces (F, 3) of a part.
SurfaceArrays = tuple[FloatArray, IntArray]
#: Calls the library on so many pieces.
Call = Callable[[dict[str, Any], int], dict[str, Any]]

#: The library's process takes this many MB to start, and this many for each thousand triangles (measured: 320 MB in all
#: for 81,920 triangles).
_MEMORY_BASE, _MEMORY_PER_THOUSAND = 1024, 10
#: Seconds of a core that it may take, and more for each thousand triangles: several times what surfaces of all kinds,
#: loose triangles too, were measured to take.
_PROCESSOR_BASE, _PROCESSOR_PER_THOUSAND = 60, 2


class NoUnwrap(ValueError):
    """The surface cannot be laid out; the message says why."""


class Layout(NamedTuple):
    """One part in the square."""

    #: (W,) index of the original vertex: vertices on cuts are doubled.
    source: IntArray
    #: (F, 3), in the order in which they came.
    faces: IntArray
    #: (W, 2) in [0, 1]; v grows with the texture's rows.
    uv: FloatArray


def lay_out(
    surfaces: Sequence[SurfaceArrays],
    *,
    resolution: int,
    padding: int,
    stretch: float,
    folder: Path,
    check: Callable[[], None],
) -> tuple[list[Layout], list[str]]:
    """Lay all surfaces out in one square of `resolution` texels a side, charts `padding` texels apart.

    `stretch` is what a chart may cost before another is begun (xatlas' max_cost); `folder` takes files meanwhile;
    `check` raises to end it.

    Returns:
        A layout for each, and warnings for people.

    Raises:
        NoUnwrap: no area, or the library gave up.
    """
    faces = sum(len(each) for _, each in surfaces)
    options = {"resolution": resolution, "padding": padding, "stretch": stretch}

    def call(arrays: dict[str, Any], count: int) -> dict[str, Any]:
        return call_native(
            "pocket3d.adapters.weight_free.unwrapping.library:unwrap",
            arrays,
            {**options, "count": count},
            folder=folder,
            memory_mb=_MEMORY_BASE + _MEMORY_PER_THOUSAND * faces // 1000,
            check=check,
            processor_s=_PROCESSOR_BASE + _PROCESSOR_PER_THOUSAND * faces // 1000,
        )

    return laid_out(surfaces, call)


def laid_out(surfaces: Sequence[SurfaceArrays], call: Call) -> tuple[list[Layout], list[str]]:
    """As `lay_out`, with the call of the library as an argument."""
    if not any(len(cleaned(*surface).faces) for surface in surfaces):
        raise NoUnwrap("no triangle of it encloses an area")
    whole = [[np.arange(len(faces))] for _, faces in surfaces]
    try:
        try:
            return _of_pieces(surfaces, whole, call), []
        except NativeCrashed:
            # It takes dense smooth surfaces for planes until one bends back onto itself (xatlas, issues 146 and 151).
            made = _of_pieces(surfaces, [by_direction(surface) for surface in surfaces], call)
            return made, ["xatlas crashed on the whole surface: it was cut by direction first, which makes more charts"]
    except NativeFailed as error:
        raise NoUnwrap(f"xatlas gave up: {error}") from error


def by_direction(surface: SurfaceArrays) -> list[IntArray]:
    """The faces that look most along each of 26 directions, those of a cube's sides, edges and corners: no two of a
    piece look further apart than 60 degrees, so it can be laid onto the plane of any of them.
    """
    vertices, faces = surface
    grid = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], dtype=float)
    directions = grid / np.linalg.norm(grid, axis=1, keepdims=True)
    nearest = (face_normals(vertices[faces]) @ directions.T).argmax(axis=1)
    return [owned for owned in (np.flatnonzero(nearest == number) for number in range(len(grid))) if len(owned)]


def _of_pieces(surfaces: Sequence[SurfaceArrays], pieces: Sequence[Sequence[IntArray]], call: Call) -> list[Layout]:
    low = np.min([vertices.min(axis=0) for vertices, _ in surfaces], axis=0)
    high = np.max([vertices.max(axis=0) for vertices, _ in surfaces], axis=0)
    # The library computes in single precision, with bounds that are no shares of the size.
    centre, scale = (low + high) / 2, float((high - low).max())
    arrays: dict[str, Any] = {}
    used: list[IntArray] = []
    for (vertices, faces), cuts in zip(surfaces, pieces, strict=True):
        for owned in cuts:
            kept, numbers = np.unique(faces[owned], return_inverse=True)
            arrays[f"vertices_{len(used)}"] = (vertices[kept] - centre) / scale
            arrays[f"faces_{len(used)}"] = numbers.reshape(-1, 3)
            used.append(kept)
    made = call(arrays, len(used))
    if made["atlases"] == 0:
        raise NoUnwrap("xatlas finds no surface in it")
    if made["atlases"] != 1:
        raise NoUnwrap(f"it needs {made['atlases']} textures of that size; ask for more texels")
    found: list[Layout] = []
    number = 0
    for (_, faces), cuts in zip(surfaces, pieces, strict=True):
        sources, coordinates = [], []
        joined = np.zeros_like(faces)
        count = 0
        for owned in cuts:
            sources.append(used[number][made[f"source_{number}"]])
            coordinates.append(made[f"uv_{number}"])
            joined[owned] = made[f"faces_{number}"] + count
            count += len(sources[-1])
            number += 1
        found.append(Layout(np.concatenate(sources), joined, np.concatenate(coordinates)))
    return found
