"""The calls of xatlas. They run in a process of its own (`runtime.native_call`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

#: The share of the square that charts fill: where the search for the largest ends and begins, how many tries it makes;
#: how many more where every place is looked at in place of some at random, up to how much more of the square.
_LEAST_FILL, _FIRST_FILL, _MOST_FILL, _TRIES, _THOROUGH_TRIES, _MORE_FILL = 0.02, 0.5, 0.9, 5, 3, 1.35
#: More charts than this are not looked at so thoroughly: it takes too long.
_MOST_CHARTS = 1000


def unwrap(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Cut all meshes into charts and pack them into one square.

    Args:
        arrays: `vertices_N` (V, 3) and `faces_N` (F, 3), N from 0.
        options: `count` of meshes, `resolution` and `padding` in texels, `stretch`: what a chart may cost before
            another is begun (xatlas' max_cost).

    Returns:
        `source_N` (W,) the vertex that each new one is a copy of, `faces_N` (F, 3), `uv_N` (W, 2) in [0, 1];
        `atlases`, how many squares were needed.
    """
    import xatlas

    atlas = xatlas.Atlas()
    for number in range(options["count"]):
        atlas.add_mesh(
            np.ascontiguousarray(arrays[f"vertices_{number}"], dtype=np.float32),
            np.ascontiguousarray(arrays[f"faces_{number}"], dtype=np.uint32),
        )
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_cost = options["stretch"]
    packing.resolution, packing.padding = options["resolution"], options["padding"]
    packing.bilinear = True
    atlas.generate(chart_options=charts, pack_options=packing)
    made: dict[str, Any] = {"atlases": np.array(atlas.atlas_count)}
    for number in range(options["count"]):
        source, faces, uv = atlas[number]
        made[f"source_{number}"] = source.astype(np.int64)
        made[f"faces_{number}"] = faces.astype(np.int64)
        made[f"uv_{number}"] = np.clip(uv, 0.0, 1.0).astype(np.float64)
    return made


def pack(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Pack charts into one square, as large as they fit.

    Args:
        arrays: `uv` (W, 2) in the charts' own planes, all to one scale; `faces` (F, 3); `label` (F,) chart of each.
        options: `grid`, the cells along a side of the square: each belongs to one chart, and a free one lies around
            each chart.

    Returns:
        `uv` (W, 2) in [0, 1]; `fits`, False where even small charts do not.
    """
    import xatlas

    uv = np.ascontiguousarray(arrays["uv"], dtype=np.float32)
    faces = np.ascontiguousarray(arrays["faces"], dtype=np.uint32)
    label = np.ascontiguousarray(arrays["label"].reshape(-1, 1), dtype=np.uint32)
    corners = arrays["uv"][arrays["faces"]]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = float(np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sum() / 2)

    def packed(scale: float, thorough: bool) -> Any:
        atlas, packing = xatlas.Atlas(), xatlas.PackOptions()
        atlas.add_uv_mesh(uv, faces, label)
        packing.resolution, packing.padding, packing.texels_per_unit = options["grid"], 1, scale
        packing.bilinear, packing.bruteForce = False, thorough
        atlas.generate(pack_options=packing)
        return atlas[0][2] if atlas.atlas_count == 1 else None

    found = densest(area, options["grid"], packed, 0 if label.max() > _MOST_CHARTS else _THOROUGH_TRIES)
    fits = found is not None
    return {"fits": np.array(fits), "uv": np.clip(found, 0.0, 1.0).astype(np.float64) if fits else np.zeros_like(uv)}


def densest(area: float, side: int, packed: Callable[[float, bool], Any], thorough_tries: int) -> Any:
    """The result of `packed(scale, thorough)` at the largest scale found at which it is not None; None where there is
    none.

    Charts have `area` at scale 1, the square is `side` long. Quick tries come first, then so many thorough ones.
    """

    def tried(fill: float, thorough: bool) -> Any:
        return packed(float(np.sqrt(side * side * fill / area)), thorough)

    low, high, fill, best = _LEAST_FILL, _MOST_FILL, _FIRST_FILL, None
    for number in range(_TRIES + thorough_tries):
        if number == _TRIES:
            high = min(max(high, _MORE_FILL * low), _MOST_FILL)
        made = tried(fill, number >= _TRIES)
        if made is None:
            high = fill
        else:
            best, low = made, fill
        fill = (low + high) / 2
    return tried(_LEAST_FILL, False) if best is None else best
