"""Lays surfaces out in one square: planar charts, packed by xatlas in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...mesh.triangles import FloatArray, IntArray
from ...runtime.native_call import NativeFailed, call_native
from .charts import planar_charts
from .layout import Layout, NoUnwrap, SurfaceArrays

#: The longest side of the surface in the packer's units, whose single precision has bounds that are no shares of it.
_UNITS = 1000.0
#: A face of less area in these units counts as having none.
_NO_AREA = 1e-6
#: Cells along a side that a chart of middling size has at least, where the texture has so many texels.
_CELLS_ACROSS = 32
_MEMORY_BASE, _MEMORY_PER_THOUSAND = 1024, 4
#: Charts are packed one by one, a few times over, each among those that lie there already: so many take half a minute
#: of a core. A chart with the free cells around it takes so many cells, at least.
MOST_CHARTS, LEAST_CELLS = 50_000, 16
#: Seconds of a core that packing may take: several times what so many charts were measured to take.
_PROCESSOR_S = 300


def grid_at(resolution: int, charts: int) -> int:
    """Cells along a side of the square in which charts are packed, two apart: coarse ones for large textures, whose
    filters reach further and whose packing would take long; finer ones for many charts, which are small.
    """
    return min(resolution, max(512, resolution // 4, int(_CELLS_ACROSS * charts**0.5)))


def lay_out_planes(
    surfaces: Sequence[SurfaceArrays], *, resolution: int, folder: Path, check: Callable[[], None]
) -> tuple[list[Layout], int]:
    """Lay all surfaces out in one square of `resolution` texels a side, without overlap.

    `folder` takes files meanwhile; `check` raises to end it.

    Returns:
        A layout for each, and the number of charts.

    Raises:
        NoUnwrap: no area, more charts than are laid out or there is room for, or the library gave up.
    """
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in surfaces)])
    places = np.concatenate([np.asarray(vertices, dtype=np.float64) for vertices, _ in surfaces])
    faces = np.concatenate([each + start for (_, each), start in zip(surfaces, starts[:-1], strict=True)])
    low, high = places[faces].min(axis=(0, 1)), places[faces].max(axis=(0, 1))
    longest = float((high - low).max())
    if longest > 0:
        places = (places - (low + high) / 2) * (_UNITS / longest)
    found = planar_charts(places, faces)
    grid = grid_at(resolution, len(found.axes))
    most = min(MOST_CHARTS, grid * grid // LEAST_CELLS)
    if len(found.axes) > most:
        texels = "" if most == MOST_CHARTS else f" in {resolution} texels a side"
        raise NoUnwrap(
            f"it comes apart into {len(found.axes):,} charts, at most {most:,} are laid out{texels}; if its triangles"
            " should hang together, merge the vertices by distance first, else simplify it, take a part of it"
            f"{', or ask for more texels' if texels else ''}"
        )
    check()
    source, corner, uv, label = _flattened(places, faces, found.label, found.axes)
    laid = label >= 0
    if not laid.any():
        raise NoUnwrap("no triangle of it encloses an area")
    used, numbers = np.unique(corner[laid], return_inverse=True)
    arrays = {"uv": uv[used], "faces": numbers.reshape(-1, 3), "label": label[laid]}
    options = {"grid": grid}
    try:
        made = call_native(
            "pocket3d.adapters.weight_free.unwrapping.library:pack",
            arrays,
            options,
            folder=folder,
            memory_mb=_MEMORY_BASE + _MEMORY_PER_THOUSAND * len(faces) // 1000,
            check=check,
            processor_s=_PROCESSOR_S,
        )
    except NativeFailed as error:
        raise NoUnwrap(f"xatlas gave up: {error}") from error
    if not made["fits"]:
        raise NoUnwrap(f"its {len(found.axes):,} charts do not fit; ask for more texels")
    uv = np.zeros_like(uv)
    uv[used] = made["uv"]
    layouts = []
    first = 0
    for (_, each), start in zip(surfaces, starts[:-1], strict=True):
        mine = corner[first : first + len(each)]
        kept, numbers = np.unique(mine, return_inverse=True)
        layouts.append(Layout(source[kept] - start, numbers.reshape(-1, 3), uv[kept]))
        first += len(each)
    return layouts, len(found.axes)


def _flattened(
    places: FloatArray, faces: IntArray, label: IntArray, axes: FloatArray
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Double the vertices where charts meet.

    Returns:
        (W,) the vertex that each new one is a copy of, (F, 3) faces over them, (W, 2) coordinates in the chart's plane,
        and (F,) labels with -1 for faces that have no area there: their corners are their own.
    """
    charts = len(axes)
    if charts:
        flat = np.einsum("fij,fkj->fik", places[faces], axes[label])
        one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
        area = np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2
        label = np.where(area > _NO_AREA, label, -1)
    bare = np.flatnonzero(label < 0)
    owner = label.copy()
    owner[bare] = charts + np.arange(len(bare))
    keys = faces.astype(np.int64) * (charts + len(bare)) + owner[:, None]
    different, numbers = np.unique(keys.reshape(-1), return_inverse=True)
    source, chart = np.divmod(different, charts + len(bare))
    uv = np.zeros((len(source), 2))
    there = chart < charts
    if charts:
        uv[there] = np.einsum("vj,vkj->vk", places[source[there]], axes[chart[there]])
    return source, numbers.reshape(-1, 3), uv, label
