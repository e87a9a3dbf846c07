"""Judges the texture coordinates that a mesh came with: whether they can carry a new texture as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import InvalidInput
from ...mesh.triangles import FloatArray, IntArray
from ..unwrapping.layout import Layout
from .atlas import rasterise

#: Coordinates this far outside of the texture are rounding errors.
_EDGE = 1e-4
#: Share of the covered texels that may show two places: where triangles touch, rounding makes a few.
_OVERLAPPING = 0.002
#: Textures of one answer, at most: parts whose coordinates lie over one another get one each.
MOST_TEXTURES = 16
#: Boxes around the triangles, in textures: each texel of each is looked at. Compact triangles fill half of theirs.
MOST_BOXES = 64


class UnusableUv(InvalidInput):
    """The mesh's own texture coordinates cannot carry one texture; the message says why and what helps."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"its own texture coordinates cannot be kept: {why}; without keep_uv new ones are made", "keep_uv"
        )


def own_layouts(
    names: Sequence[str], faces: Sequence[IntArray], uvs: Sequence[FloatArray | None], resolution: int, device: str
) -> list[list[tuple[int, Layout]]]:
    """Lay parts out by their own coordinates, (V, 2) with v downwards, as textures of `resolution` texels a side show
    them.

    Returns:
        For each texture its parts, by number, and their layouts.

    Raises:
        UnusableUv: a part has none, some lie outside of 0..1, or parts of one part's surface lie over one another.
    """
    layouts = []
    for name, triangles, uv in zip(names, faces, uvs, strict=True):
        if uv is None:
            raise UnusableUv(f"part {name!r} has none")
        used = uv[triangles]
        if used.min() < -_EDGE or used.max() > 1 + _EDGE:
            raise UnusableUv(
                f"those of part {name!r} reach from {used.min():.3g} to {used.max():.3g}, beyond 0 to 1, so that a"
                " texture would repeat"
            )
        layouts.append(Layout(np.arange(len(uv)), triangles, uv.clip(0, 1)))
    covered = [_times_covered(name, layout) for name, layout in zip(names, layouts, strict=True)]
    together = len(layouts) > 1 and sum(covered) <= 1 + _OVERLAPPING
    if together and _overlap(layouts, resolution, device) <= _OVERLAPPING:
        return [list(enumerate(layouts))]
    if len(layouts) > MOST_TEXTURES:
        raise UnusableUv(
            f"its {len(layouts)} parts lie over one another in the texture, at most {MOST_TEXTURES} textures are made"
        )
    for name, layout in zip(names, layouts, strict=True):
        share = _overlap([layout], resolution, device)
        if share > _OVERLAPPING:
            raise UnusableUv(f"{share:.0%} of the texels of part {name!r} show two places of its surface")
    return [[each] for each in enumerate(layouts)]


def _times_covered(name: str, layout: Layout) -> float:
    """The area of a part's triangles in its texture, in textures: more than one cannot lie side by side. What would
    take long to look at, texel by texel, is refused here.
    """
    corners = layout.uv[layout.faces]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    times = float(np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]).sum() / 2)
    if times > 1 + _OVERLAPPING:
        raise UnusableUv(f"the triangles of part {name!r} cover the texture {times:.1f} times over")
    boxes = float(np.ptp(corners, axis=1).prod(axis=1).sum())
    if boxes > MOST_BOXES:
        raise UnusableUv(
            f"the triangles of part {name!r} are so long and thin that the boxes around them cover the texture"
            f" {boxes:.0f} times over, at most {MOST_BOXES} times is looked at"
        )
    return times


def _overlap(layouts: Sequence[Layout], resolution: int, device: str) -> float:
    """The share of the covered texels that show two places of the surface."""
    shown = rasterise(np.concatenate([each.uv[each.faces] for each in layouts]), resolution, device)
    return shown.overlapping / max(len(shown.where), 1)
