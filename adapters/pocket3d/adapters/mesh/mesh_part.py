"""A mesh as values: parts with one surface each, whose textures are arrays.

Colours are sRGB 0..1. Axes: +Y up, metres.
"""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .triangles import FloatArray, IntArray


class Material(NamedTuple):
    """A surface in the metallic-roughness model of glTF."""

    name: str
    #: sRGB, 0..1.
    colour: tuple[float, float, float]
    alpha: float = 1.0
    metallic: float = 0.0
    roughness: float = 0.8


class MeshPart(NamedTuple):
    """One solid with one surface."""

    name: str
    #: (V, 3) metres.
    vertices: FloatArray
    #: (F, 3) counter-clockwise seen from outside.
    faces: IntArray
    #: (V, 3) unit length.
    normals: FloatArray
    material: Material
    #: (V, 2), origin at the texture's upper left corner; None without texture.
    uv: FloatArray | None = None
    #: (H, W, 3) uint8 sRGB; what moves or writes it takes alpha as a fourth.
    texture: npt.NDArray[np.uint8] | None = None
    #: (V, 4) uint8 sRGB with alpha, multiplied with material and texture; None without.
    colours: npt.NDArray[np.uint8] | None = None
    #: (H, W, 3) uint8: roughness in green, metallic in blue (glTF 2.0), both 0..255; they replace the material's.
    surface_texture: npt.NDArray[np.uint8] | None = None
    #: (Q, 4) the same surface in quadrilaterals, over the same vertices: an OBJ has them in place of the faces.
    quads: IntArray | None = None


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 3) uint8, or with alpha (H, W, 4), as a PNG file."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()
