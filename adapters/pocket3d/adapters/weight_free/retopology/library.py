"""The call of Instant Meshes (Jakob, Tarini, Panozzo, Sorkine-Hornung: "Instant Field-Aligned Meshes", ACM Transactions
on Graphics 34(6), 2015), by the package pynanoinstantmeshes. It runs in a process of its own (`runtime.native_call`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: Steps in which the new vertices are evened out and put back onto the surface: the program's own default.
_SMOOTHING = 2


def remesh(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Remesh each part.

    Args:
        arrays: `vertices_N` (V, 3) and `faces_N` (F, 3), N from 0: clean, about 1 in size, near the origin.
        options: `targets` (faces, by part), `corners` (4 or 3), `crease` (degrees, negative for none), `borders`
            (whether edges follow open borders).

    Returns:
        `vertices_N` (V, 3) and `faces_N` (F, `corners`).
    """
    import pynanoinstantmeshes

    made: dict[str, Any] = {}
    quads = options["corners"] == 4
    for number, target in enumerate(options["targets"]):
        vertices, faces = pynanoinstantmeshes.remesh(
            np.ascontiguousarray(arrays[f"vertices_{number}"], dtype=np.float32),
            np.ascontiguousarray(arrays[f"faces_{number}"], dtype=np.uint32),
            vertex_count=-1,
            rosy=4 if quads else 6,
            posy=4 if quads else 3,
            # Pure quadrilaterals are made by dividing each face of the field's mesh in four.
            face_count=max(target // 4, 1) if quads else target,
            creaseAngle=options["crease"],
            align_to_boundaries=options["borders"],
            extrinsic=True,
            smooth_iter=_SMOOTHING,
            deterministic=True,
        )
        made[f"vertices_{number}"] = np.asarray(vertices, dtype=np.float64)
        made[f"faces_{number}"] = np.asarray(faces).astype(np.int64)
    return made
