"""The call of xatlas. It runs in a process of its own (`runtime.native_call`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


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
