"""All triangles of a scene with what is needed to colour a point on them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .parts import is_linear, look_of, placed
from .srgb import from_srgb

#: A vertex normal further from the face's than 40 degrees is a mere mean over an edge; cosine.
_CREASE = 0.766


class Surface(NamedTuple):
    """See the module."""

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
    def of(cls, scene: Any) -> Surface:
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
            parts.append((corners, _normals(mesh, corners, transform), colours, uv, np.full(len(corners), index)))
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


def _normals(mesh: Any, corners: Any, transform: Any) -> Any:
    """The file's vertex normals where it has them and they suit the faces, else the faces' own."""
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = np.where(length > 0, flat / np.maximum(length, 1e-300), [0.0, 1.0, 0.0])
    smooth = mesh.vertex_normals @ np.linalg.pinv(transform[:3, :3])
    smooth = smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    normals = smooth[mesh.faces]
    sharp = (normals * flat[:, None]).sum(axis=2) < _CREASE
    normals[sharp] = np.broadcast_to(flat[:, None], normals.shape)[sharp]
    return normals


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
