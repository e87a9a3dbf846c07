"""The call of fast-simplification (quadric error metrics: Garland and Heckbert, "Surface Simplification Using Quadric
Error Metrics", SIGGRAPH 1997). It runs in a process of its own (`runtime.native_call`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

#: How fast the allowed error grows (the library's `agg`): slow is three times as near to the surface as its default, 7,
#: and does not always get to the wanted number (measured on a photograph's mesh of 47,272 faces).
_SPEEDS = (3.0, 5.0, 7.0)
#: Near enough to the wanted number.
_NEAR = 1.02


def simplify(arrays: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Simplify each piece.

    Args:
        arrays: `vertices_N` (V, 3) and `faces_N` (F, 3), N from 0, without faces of no area.
        options: `targets` (faces, by piece), `borders` (whether open borders stay as they are).

    Returns:
        `vertices_N` and `faces_N`.
    """
    import fast_simplification

    made: dict[str, Any] = {}
    for number, target in enumerate(options["targets"]):
        for speed in _SPEEDS:
            vertices, faces = fast_simplification.simplify(
                np.ascontiguousarray(arrays[f"vertices_{number}"], dtype=np.float64),
                np.ascontiguousarray(arrays[f"faces_{number}"], dtype=np.int32),
                target_count=target,
                agg=speed,
                preserve_border=options["borders"],
            )
            if len(faces) <= _NEAR * target:
                break
        made[f"vertices_{number}"] = np.asarray(vertices, dtype=np.float64)
        made[f"faces_{number}"] = np.asarray(faces).astype(np.int64)
    return made
