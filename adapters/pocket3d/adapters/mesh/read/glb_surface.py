"""How the triangles of a GLB file look: images that lie inside it, textures, materials (glTF 2.0, 3.8 and 3.9)."""

from __future__ import annotations

import base64
import math
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from ..image_input import open_image
from .glb_arrays import Arrays, inline
from .glb_document import Document, Material, Texture, TextureInfo
from .glb_left_out import ELSEWHERE
from .limits import MAX_IMAGES, Refused

#: Pixels of all images of a file together.
_MAX_PIXELS = 200_000_000


class Mapping(NamedTuple):
    """How a vertex finds its place in a texture."""

    #: Which of a primitive's sets of coordinates.
    coordinates: int = 0
    #: KHR_texture_transform: scaled, then turned counter-clockwise (radians), then moved.
    offset: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)

    @property
    def moves(self) -> bool:
        """True if coordinates change at all."""
        return self[1:] != Mapping()[1:]

    def apply(self, uv: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Move coordinates (V, 2) to where they lie in the texture, (V, 2)."""
        cosine, sine = math.cos(self.rotation), math.sin(self.rotation)
        # Counter-clockwise as one sees the picture, whose second axis points down.
        turn = np.array([[cosine, sine], [-sine, cosine]])
        moved: npt.NDArray[np.float64] = uv.astype(np.float64) * self.scale @ turn.T + self.offset
        return moved

    def undo(self, uv: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The coordinates (V, 2) that lie there; no scale is 0."""
        cosine, sine = math.cos(self.rotation), math.sin(self.rotation)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        before: npt.NDArray[np.float64] = (np.asarray(uv, dtype=np.float64) - self.offset) @ turn / self.scale
        return before


class Surface:
    """The materials of one document, reduced."""

    def __init__(self, document: Document, arrays: Arrays) -> None:
        #: What was left out, for people.
        self.ignored: list[str] = []
        read = [_source(texture) for texture in document.textures]
        sources, self.images = self._images(document, arrays, set(read))
        # One without a readable image has no source.
        self.textures: list[dict[str, Any]] = [{"source": sources[each]} if each in sources else {} for each in read]
        further = {name for each in document.textures if _source(each) is None for name in each.extensions}
        self.ignored += [
            f"pictures of {name[:60]}, which is not read: export them as PNG, JPEG or WebP" for name in sorted(further)
        ]
        #: For each material the place of its textures; the first of them decides, others must lie alike.
        self.mappings = [self._mapping(material) for material in document.materials]
        self.materials = msgspec.to_builtins(document.materials)

    def _images(
        self, document: Document, arrays: Arrays, read: set[Any]
    ) -> tuple[dict[int | None, int], list[dict[str, Any]]]:
        """The images that lie inside and that a texture is read with, and their new numbers. In what form others are,
        such as those that a texture has another picture for, is nobody's matter.
        """
        if len(document.images) > MAX_IMAGES:
            raise Refused(f"{len(document.images):,} images, at most {MAX_IMAGES} are taken")
        sources: dict[int | None, int] = {}
        kept: list[dict[str, Any]] = []
        pixels = 0
        for index, image in enumerate(document.images):
            if image.bufferView is not None:
                data = arrays.view(image.bufferView, f"image {index}")
                entry: dict[str, Any] = {"bufferView": image.bufferView}
            elif image.uri is not None and image.uri.startswith("data:"):
                data = inline(image.uri, f"image {index}")
                entry = {"uri": "data:image/png;base64," + base64.b64encode(data).decode()}
            else:
                # One that has neither was left out before.
                if image.uri is not None:
                    self.ignored.append(f"image {image.uri[:80]!r}: only the GLB file itself is read")
                continue
            if index not in read:
                continue
            try:
                width, height = open_image(data).size
            except Refused as error:
                raise Refused(f"its image {index}: {error}") from error
            pixels += width * height
            if pixels > _MAX_PIXELS:
                raise Refused(f"its images have more than {_MAX_PIXELS:,} pixels together")
            sources[index] = len(kept)
            kept.append(entry)
        return sources, kept

    def _mapping(self, material: Material) -> Mapping:
        """Take the mapping out of a material, and each texture that lies elsewhere than the first."""
        found: Mapping | None = None
        for owner, key in _uses(material):
            info: TextureInfo | None = getattr(owner, key, None)
            if info is None:
                continue
            if info.index >= len(self.textures):
                raise Refused(f"a material points to texture {info.index}, which is not there")
            mapping = _mapping_of(info)
            found = found or mapping
            if mapping != found:
                which = f"{key} of material {material.name!r}"
                self.ignored.append(f"{which}: {ELSEWHERE}")
                setattr(owner, key, None)
            info.texCoord, info.extensions = 0, None
        return found or Mapping()


def _source(texture: Texture) -> int | None:
    """The number of the image with which a texture is read."""
    webp = texture.extensions.get("EXT_texture_webp")
    if not isinstance(webp, dict):
        return texture.source
    source = webp.get("source")
    return source if isinstance(source, int) else None


def place_of(material: Material) -> Mapping:
    """How the first texture of a material lies, which decides; the plain mapping without."""
    infos = (getattr(owner, key, None) for owner, key in _uses(material))
    return next((_mapping_of(info) for info in infos if info is not None), Mapping())


def _uses(material: Material) -> list[tuple[Any, str]]:
    """Where a material names its textures, the first of them deciding how all lie."""
    return [
        (material.pbrMetallicRoughness, "baseColorTexture"),
        (material.pbrMetallicRoughness, "metallicRoughnessTexture"),
        (material, "normalTexture"),
        (material, "occlusionTexture"),
        (material, "emissiveTexture"),
    ]


def _mapping_of(info: TextureInfo) -> Mapping:
    transform = info.extensions.KHR_texture_transform if info.extensions is not None else None
    if transform is None:
        return Mapping(info.texCoord)
    coordinates = info.texCoord if transform.texCoord is None else transform.texCoord
    return Mapping(coordinates, transform.offset, transform.rotation, transform.scale)
