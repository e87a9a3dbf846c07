"""Lays a scene's surface out in one texture, judges the layout, and moves the old texture to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...mesh.appearance import texels, uv_at
from ...mesh.nearest import Places
from ...mesh.triangles import FloatArray, IntArray, body_labels
from ...mesh.write import MeshPart
from ..texturing.atlas import Texels, fill, rasterise
from .layout import Layout, lay_out
from .stretch import stretch

METHOD = "xatlas"
#: Texels along a side of the picture of the layout.
_PICTURE = 512


class Unwrapped(NamedTuple):
    """The parts with their texture coordinates, what was measured, and the layout as a (R, R, 3) picture."""

    parts: list[MeshPart]
    facts: dict[str, Any]
    picture: npt.NDArray[np.uint8]
    #: For each part, (V,) the vertex of the old one that each is a copy of.
    sources: list[IntArray]


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
    """Lay out all parts in one texture of `resolution` texels a side, charts `padding` texels apart. Textures may have
    four channels: the new one has as many.

    `step` is told (share, stage), `check` raises to end.

    Raises:
        NoUnwrap: no area, or the library gave up.
    """
    step(0.0, "cutting the surface into charts")
    surfaces = [(part.vertices, part.faces) for part in parts]
    made, warnings = lay_out(
        surfaces, resolution=resolution, padding=padding, stretch=allowed_stretch, folder=folder, check=check
    )
    step(0.5, "judging the layout")
    new = [_part(part, layout) for part, layout in zip(parts, made, strict=True)]
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
    return Unwrapped(new if painted is None else painted, facts, picture, [layout.source for layout in made])


def _part(part: MeshPart, layout: Layout) -> MeshPart:
    return part._replace(
        vertices=part.vertices[layout.source],
        faces=layout.faces,
        normals=part.normals[layout.source],
        uv=layout.uv,
        texture=None,
        colours=None if part.colours is None else part.colours[layout.source],
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
    # With alpha where one of the old ones has some; of the others all is opaque.
    channels = max(part.texture.shape[2] for part in before if part.texture is not None)
    pixels = np.full((resolution * resolution, channels), 255, dtype=np.uint8)
    start = 0
    for part in before:
        mine = (triangle >= start) & (triangle < start + len(part.faces))
        places = Places(np.zeros((0, 3)), triangle[mine] - start, weights[mine])
        coordinates = uv_at(part, places)
        if part.texture is not None and coordinates is not None:
            moved = (texels(part.texture, coordinates) + 0.5).astype(np.uint8)
            pixels[where[mine], : moved.shape[1]] = moved
        start += len(part.faces)
    covered = np.zeros((resolution, resolution), dtype=bool)
    covered.reshape(-1)[where] = True
    texture = fill(pixels.reshape(resolution, resolution, channels), covered)
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
