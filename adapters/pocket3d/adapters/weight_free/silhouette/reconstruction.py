"""Makes a textured solid of a photograph's file; each failure names the input that is at fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import InvalidInput
from ...mesh.read.limits import Refused
from ...mesh.write import Material, MeshPart, is_watertight, vertex_normals
from .inflate import inflate
from .mask import NoSubject, find_foreground
from .options import PhotoOptions
from .photo import Photo, read_mask, read_photo, resized, visible_colours
from .surface import PADDING, close_surface, intersection_over_union, silhouette, smooth_field
from .texture import cut_texture

#: Long side of the grid of mask and mesh for smaller pictures, unless the request wants a coarser one.
_SMALLEST_GRID = 128


class Reconstruction(NamedTuple):
    """The solid and what was measured while it was made."""

    part: MeshPart
    #: Facts for `generation_info`.
    facts: dict[str, Any]


def from_photograph(
    path: Path, field: str, options: PhotoOptions, device: str, step: Callable[[float, str], None]
) -> Reconstruction:
    """Read a photograph, and its mask where there is one, and reconstruct its subject.

    `field` is that of the inputs, for errors; `step` is called with (share, stage) before each step and may raise to
    end it.

    Raises:
        InvalidInput: it is no image, nothing stands out in it, or mask and box do not fit it.
    """
    step(0.02, "reading the photograph")
    try:
        photo = read_photo(path, max(options.texture_resolution, options.resolution))
        return _reconstruct(photo, options, device, step)
    except Refused as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    except NoSubject as error:
        given = "mask_path" if options.mask_path else "box" if options.box else None
        wrong = given or ("mask_method" if options.mask_method == "alpha" else field)
        raise InvalidInput(f"{path.name}: {error}", wrong) from error


def _reconstruct(
    photo: Photo, options: PhotoOptions, device: str, step: Callable[[float, str], None]
) -> Reconstruction:
    """Mask, inflate, close and texture.

    The front looks along +Z, Y is up, the lower edge stands at y = 0, x and z are centred, and the longer side of the
    silhouette is 1 metre.
    """
    step(0.1, "scaling the photograph")
    rgb = resized(photo.rgb, options.resolution, _SMALLEST_GRID)
    alpha = None if photo.alpha is None else resized(photo.alpha, options.resolution, _SMALLEST_GRID)
    shape = (rgb.shape[0], rgb.shape[1])
    found = find_foreground(
        rgb,
        alpha,
        options.mask_method,
        given=read_mask(Path(options.mask_path), shape, photo.original_size) if options.mask_path else None,
        box=None if options.box is None else _shares(options.box, photo.original_size),
        seed=options.seed,
        between=lambda stage: step(0.2, stage),
    )
    step(0.55, "inflating the silhouette")
    field = smooth_field(found.mask)
    inflation = inflate(field, device, between=lambda: step(0.6, "inflating the silhouette"))
    step(0.7, "closing the surface")
    surface = close_surface(field, inflation.height * options.depth_scale)
    covered = silhouette(surface, shape)
    step(0.8, "cutting the texture")
    texture = cut_texture(visible_colours(photo), found.mask)
    uv = texture.uv(surface.vertices[:, :2])
    points = surface.vertices * [1.0, -1.0, 1.0]
    low, high = points.min(axis=0), points.max(axis=0)
    metres = 1 / float((high - low)[:2].max())
    points = (points - [(low[0] + high[0]) / 2, low[1], 0.0]) * metres
    part = MeshPart(
        name="subject",
        vertices=points.astype(np.float32),
        faces=surface.faces,
        normals=vertex_normals(points, surface.faces).astype(np.float32),
        material=Material("photograph", (1.0, 1.0, 1.0), roughness=1.0),
        uv=uv.astype(np.float32),
        texture=texture.pixels,
    )
    deepest = np.unravel_index(int(inflation.height.argmax()), inflation.height.shape)
    facts = {
        "mask_method": found.method,
        "mask_method_description": found.description,
        "mask_fraction": round(found.fraction, 4),
        "mask_component_share": round(found.component_share, 4),
        "confidence": found.confidence.level,
        "warnings": found.confidence.warnings,
        "image_size": list(photo.original_size),
        "mask_size": [found.mask.shape[1], found.mask.shape[0]],
        "inflation_method": "Poisson's equation on the mask, circular profile sqrt(f) (Sykora et al. 2014)",
        "solver": "conjugate gradients (torch)",
        "solver_iterations": inflation.iterations,
        "solver_residual": inflation.residual,
        "depth_scale": options.depth_scale,
        "depth_m": round(float(np.ptp(points[:, 2])), 6),
        "deepest_at": [int(deepest[1]) - PADDING, int(deepest[0]) - PADDING],
        "silhouette_iou": round(intersection_over_union(covered, found.mask), 4),
        "texture_size": [texture.pixels.shape[1], texture.pixels.shape[0]],
        "back": "the front mirrored, with the same texture: a single photograph does not show it",
        "watertight": is_watertight(part.faces),
    }
    return Reconstruction(part, facts)


def _shares(box: Sequence[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box as shares of the frame.

    Raises:
        InvalidInput: it reaches out of the image.
    """
    width, height = (1, 1) if max(box) <= 1 else size
    left, upper, right, lower = box
    if right > width or lower > height:
        raise InvalidInput(f"box is {list(box)}, and the image {size[0]} x {size[1]} pixels", "box")
    return left / width, upper / height, right / width, lower / height
