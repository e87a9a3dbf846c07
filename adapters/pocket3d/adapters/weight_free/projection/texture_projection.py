"""Projects a picture onto a surface: once along an axis, or repeated on the sides of a box and blended.

Blending by the normals is triplanar mapping (Geiss, "Generating Complex Procedural Terrains Using the GPU", GPU Gems 3,
2007, section 1.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..texturing.patterns import Shade, SurfaceSample

#: Power of the normal's components: how quickly one side gives way to the next.
_SHARPNESS = 4


def project_picture(
    picture: Image.Image, projection: str, tiles: float, extents: Any, resolution: int, device: str
) -> Callable[[SurfaceSample], Shade]:
    """Make the painter for `paint_scene` that looks colours up in the picture.

    Args:
        picture: RGB or RGBA; where it is transparent it counts as white.
        projection: front: it covers the silhouette seen along -Z, in its own proportions, back and front alike; box: it
            is laid on all six sides, mirrored where it repeats.
        tiles: of box: how often it fits along the mesh's longest side.
        extents: (3,) of the mesh, its longest side 1.
        resolution: texels along a side of the texture; a finer picture is scaled down.
        device: of torch.
    """
    canvas = Image.new("RGBA", picture.size, "white")
    canvas.alpha_composite(picture.convert("RGBA"))
    longest = max(int(resolution / (tiles if projection == "box" else 1)), 16)
    canvas.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    pixels = torch.as_tensor(np.asarray(canvas.convert("RGB")).copy(), device=device)
    texture = (pixels.permute(2, 0, 1).float() / 255)[None]
    height, width = texture.shape[2:]

    def sample(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """(N, 3) at (u, v), 0..1 from the upper left corner."""
        grid = torch.stack([u, v], dim=1)[None, None] * 2 - 1
        found = torch.nn.functional.grid_sample(texture, grid, padding_mode="reflection", align_corners=False)
        return found[0, :, 0].T

    pixel = max(float(extents[0]) / width, float(extents[1]) / height)

    def front(place: SurfaceSample) -> Shade:
        x, y, _ = place.points.unbind(1)
        return Shade(sample(0.5 + x / (width * pixel), 0.5 - y / (height * pixel)))

    def box(place: SurfaceSample) -> Shade:
        x, y, z = place.points.unbind(1)
        across, down = tiles, tiles * width / height
        sides = torch.stack(
            [
                sample(0.5 + z * across, 0.5 - y * down),
                sample(0.5 + x * across, 0.5 - z * down),
                sample(0.5 + x * across, 0.5 - y * down),
            ],
            dim=1,
        )
        # Where normals cancel out all sides count alike.
        weights = place.normals.abs() ** _SHARPNESS + 1e-9
        return Shade((sides * (weights / weights.sum(dim=1, keepdim=True))[..., None]).sum(dim=1))

    return front if projection == "front" else box
