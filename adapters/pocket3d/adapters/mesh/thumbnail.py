"""Draws a small picture of a scene by ray casting on the CPU (Embree), without a window or GL.

One ray for each of 2 x 2 samples of a pixel; two directional lights and a hemisphere, Lambert's cosine law, no shadows.
Colours come from textures, vertex and face colours or materials, as the file has them. Up is +Y, as in glTF.
"""

from __future__ import annotations

import importlib.util
import time
from typing import Any, NamedTuple

import numpy as np

from .parts import is_linear, look_of, placed, world_normals
from .srgb import from_srgb
from .triangles import corner_normals

SIZE = 256
_SAMPLES = 2
#: Seen from the front, to the right and from above, degrees.
_AZIMUTH, _ELEVATION = 35.0, 22.0
#: Vertical field of view, degrees: narrow, so that proportions stay as they are.
_FIELD_OF_VIEW = 28.0
_BACKGROUND_TOP = (0.96, 0.965, 0.975)
_BACKGROUND_BOTTOM = (0.80, 0.82, 0.85)
_KEY_LIGHT = (0.35, 0.75, 0.65)
_FILL_LIGHT = (-0.8, 0.25, 0.45)
#: The rays of one picture may take so long, seconds of this thread. A ray meets all faces that lie on one another:
#: 20,000 of them, 400 kB, took 14 s, and a million 50 times that.
MOST_S = 10.0
#: Rays between two looks at the clock.
_RAYS = 2048


def can_draw() -> bool:
    """True if embreex is installed (there are no wheels of it for some platforms)."""
    return importlib.util.find_spec("embreex") is not None


def draw_scene(scene: Any, size: int = SIZE) -> Any | None:
    """A `PIL.Image.Image` (size x size, RGB) of a `trimesh.Scene` whose geometry is `Trimesh`.

    Returns None where its rays would take more than `MOST_S`.
    """
    from PIL import Image

    surface = _Surface.of(scene)
    side = size * _SAMPLES
    origin, directions, towards = _camera(surface.corners, side)
    hits = _first_hits(surface.corners, origin, directions)
    if hits is None:
        return None
    hit, weights = hits
    picture = _background(side)
    there = hit >= 0
    colours, normals = surface.shaded(hit[there], weights[there])
    # Surfaces of open meshes are seen from both sides.
    facing = np.sum(normals * directions[there], axis=1) > 0
    normals[facing] *= -1
    picture[there] = colours * _light(normals, towards)[:, None]
    encoded = np.clip(picture, 0, 1) ** (1 / 2.2)
    pixels = encoded.reshape(size, _SAMPLES, size, _SAMPLES, 3).mean(axis=(1, 3))
    return Image.fromarray((pixels * 255 + 0.5).astype(np.uint8))


def _camera(corners: Any, side: int) -> tuple[Any, Any, Any]:
    """Where the eye is (3,), a unit direction for every sample (side², 3), and the three axes of the picture."""
    low, high = corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)
    centre = (low + high) / 2
    azimuth, elevation = np.radians(_AZIMUTH), np.radians(_ELEVATION)
    back = np.array([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)])
    right = np.cross([0.0, 1.0, 0.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    axes = np.stack([right, up, back])
    half = np.tan(np.radians(_FIELD_OF_VIEW) / 2)
    # As near as keeps every vertex inside the picture, with a small border.
    seen = (corners.reshape(-1, 3) - centre) @ axes.T
    extent = np.abs(seen[:, :2]).max(axis=1)
    distance = float((extent / (half * 0.94) + seen[:, 2]).max())
    distance = max(distance, 1e-9)
    steps = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(steps * half, -steps * half)
    directions = x.reshape(-1, 1) * right + y.reshape(-1, 1) * up - back
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return centre + back * distance, directions, axes


def _first_hits(corners: Any, origin: Any, directions: Any) -> tuple[Any, Any] | None:
    """For each direction the first triangle (-1 for none), and (n, 3) the weights of its corners where it is hit. None:
    that takes more than `MOST_S`.
    """
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene

    # Embree computes in single precision: a model far from the origin or of a tiny size must not lose its shape.
    centre = corners.reshape(-1, 3).mean(axis=0)
    scale = float(np.abs(corners - centre).max()) or 1.0
    tree = EmbreeScene()
    TriangleMesh(tree, np.ascontiguousarray((corners - centre) / scale, dtype=np.float32))
    start = ((origin - centre) / scale).astype(np.float32)
    hit, u, v = np.empty(len(directions), dtype=np.int64), np.empty(len(directions)), np.empty(len(directions))
    began = time.thread_time()
    for first in range(0, len(directions), _RAYS):
        if time.thread_time() - began > MOST_S:
            return None
        some = slice(first, first + _RAYS)
        rays = np.ascontiguousarray(directions[some], dtype=np.float32)
        found = tree.run(np.ascontiguousarray(np.broadcast_to(start, rays.shape)), rays, output=True)
        hit[some], u[some], v[some] = found["primID"], found["u"], found["v"]
    return hit, np.stack([1 - u - v, u, v], axis=1)


def _background(side: int) -> Any:
    share = np.linspace(0, 1, side)[:, None]
    rows = (1 - share) * np.array(_BACKGROUND_TOP) + share * np.array(_BACKGROUND_BOTTOM)
    return np.repeat(rows**2.2, side, axis=0)


def _light(normals: Any, axes: Any) -> Any:
    """How bright each sample is. The lights stand beside the eye, the sky above the model."""
    total = 0.32 + 0.16 * normals[:, 1]
    for direction, strength in ((_KEY_LIGHT, 0.62), (_FILL_LIGHT, 0.22)):
        light = np.array(direction) @ axes
        light /= np.linalg.norm(light)
        total = total + strength * np.clip(normals @ light, 0, None)
    return total


class _Surface(NamedTuple):
    """All triangles of a scene with what is needed to colour a point on them."""

    #: (F, 3, 3) world coordinates.
    corners: Any
    #: (F, 3, 3) unit normals at the corners.
    normals: Any
    #: (F, 3, 3) linear RGB at the corners, to be multiplied by the texture.
    colours: Any
    #: (F, 3, 2) texture coordinates, origin lower left.
    uv: Any
    #: (F,) index into `textures`, -1 for none.
    texture_of: Any
    #: (H, W, 3) linear RGB each.
    textures: list[Any]

    @classmethod
    def of(cls, scene: Any) -> _Surface:
        """Collect everything that the scene's nodes show."""
        parts: list[tuple[Any, ...]] = []
        textures: list[Any] = []
        known: dict[int, int] = {}
        linear = is_linear(scene)
        for mesh, vertices, transform in placed(scene):
            corners = vertices[mesh.faces]
            look = look_of(mesh, linear=linear)
            index = -1
            if look.image is not None:
                if id(look.image) not in known:
                    known[id(look.image)] = len(textures)
                    textures.append(_linear_pixels(look.image))
                index = known[id(look.image)]
            uv = np.zeros((len(mesh.faces), 3, 2)) if look.uv is None else look.uv[mesh.faces]
            colours = np.broadcast_to(look.colour, (len(mesh.faces), 3, 3)).copy()
            if look.vertex_colours is not None:
                colours *= look.vertex_colours[mesh.faces][..., :3]
            if look.face_colours is not None:
                colours *= look.face_colours[:, None, :3]
            normals = corner_normals(world_normals(mesh, transform), mesh.faces, corners)
            parts.append((corners, normals, colours, uv, np.full(len(corners), index)))
        joined = [np.concatenate([part[place] for part in parts]) for place in range(5)]
        corners, normals, corner_colours, coordinates, texture_of = joined
        return cls(corners, normals, corner_colours, coordinates, texture_of, textures)

    def shaded(self, faces: Any, weights: Any) -> tuple[Any, Any]:
        """Linear RGB and unit normals, (n, 3) each, at points on the given faces, by the weights of their corners."""
        weights = weights[..., None]
        normals = (self.normals[faces] * weights).sum(axis=1)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        colours = (self.colours[faces] * weights).sum(axis=1)
        uv = (self.uv[faces] * weights).sum(axis=1)
        texture = self.texture_of[faces]
        for index, pixels in enumerate(self.textures):
            here = texture == index
            colours[here] *= _sampled(pixels, uv[here])
        return colours, normals


def _sampled(pixels: Any, uv: Any) -> Any:
    """Nearest texel, repeated beyond the edges; the samples of a pixel smooth it."""
    height, width, _ = pixels.shape
    u = np.nan_to_num(uv[:, 0]) % 1.0
    v = 1 - np.nan_to_num(uv[:, 1]) % 1.0
    column = np.minimum((u * width).astype(int), width - 1)
    row = np.minimum((v * height).astype(int), height - 1)
    return pixels[row, column]


def _linear_pixels(image: Any) -> Any:
    small = image.convert("RGB")
    # Finer than the picture can show, and not worth its memory.
    small.thumbnail((1024, 1024))
    return from_srgb(np.asarray(small) / 255)
