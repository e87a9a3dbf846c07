"""How much a layout of texture coordinates distorts the surface (Sander, Snyder, Gortler and Hoppe, "Texture Mapping
Progressive Meshes", SIGGRAPH 2001).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...mesh.triangles import FloatArray, IntArray, areas

#: A triangle of less than this share of the texture's area has no area in it.
_NO_AREA = 1e-12


def stretch(corners: FloatArray, uv: FloatArray, chart: IntArray) -> dict[str, Any]:
    """Measure a layout.

    Args:
        corners: (F, 3, 3) places of the triangles' corners.
        uv: (F, 3, 2) their texture coordinates.
        chart: (F,) the chart of each.

    Returns:
        `l2_stretch`: root mean square stretch over the surface, 1 where every length is kept up to one scale;
        `angle_distortion`: mean of the ratio of the two stretches of each triangle, 1 where angles are kept;
        `flipped_faces`, against the others of their chart; `collapsed_faces`, without an area in the texture.
    """
    one, two = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    doubled = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    surface = areas(corners)
    flat = (np.abs(doubled) / 2 < _NO_AREA) | ~(surface > 0)
    good = ~flat
    signs = np.bincount(chart, weights=np.sign(doubled), minlength=int(chart.max()) + 1)[chart]
    found: dict[str, Any] = {
        "l2_stretch": None,
        "angle_distortion": None,
        "flipped_faces": int((good & (np.sign(doubled) * signs < 0)).sum()),
        "collapsed_faces": int((flat & (surface > 0)).sum()),
    }
    if not good.any():
        return found
    along, beyond = corners[good, 1] - corners[good, 0], corners[good, 2] - corners[good, 0]
    area = doubled[good][:, None]
    of_u = (along * two[good, 1:] - beyond * one[good, 1:]) / area
    of_v = (beyond * one[good, :1] - along * two[good, :1]) / area
    a, b, c = (of_u * of_u).sum(axis=1), (of_u * of_v).sum(axis=1), (of_v * of_v).sum(axis=1)
    root = np.sqrt((a - c) ** 2 + 4 * b * b)
    greatest, least = np.sqrt((a + c + root) / 2), np.sqrt(np.maximum((a + c - root) / 2, 0))
    weight = surface[good] / surface[good].sum()
    scale = np.sqrt(np.abs(doubled[good]).sum() / 2 / surface[good].sum())
    ratio = greatest / np.maximum(least, 1e-12 * greatest)
    found["l2_stretch"] = round(float(np.sqrt((weight * (a + c) / 2).sum()) * scale), 4)
    found["angle_distortion"] = round(float((weight * np.minimum(ratio, 1e6)).sum()), 4)
    return found
