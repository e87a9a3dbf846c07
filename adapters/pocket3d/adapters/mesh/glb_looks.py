"""The materials of a GLB document while its primitives get other coordinates or pictures. What is not asked to change
stays: further maps, what extensions say, names.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .glb_edit import GlbEdit
from .glb_references import extension_names, references, texture_infos
from .mesh_part import MeshPart, png_bytes

_LINEAR, _MIPMAPS, _CLAMP = 9729, 9987, 33071
_VARIANTS = "KHR_materials_variants"
_TRANSFORM = "KHR_texture_transform"
#: Extensions that have a base colour of their own, which viewers show in place of the other.
_OTHER_COLOURS = ("KHR_materials_pbrSpecularGlossiness", "VRMC_materials_mtoon")
#: In the order in which the reader looks for the texture that says where they all lie.
_CORE = ("normalTexture", "occlusionTexture", "emissiveTexture")


class Paint(NamedTuple):
    """What a new picture replaces of a material beside the picture of its base colour."""

    #: Its base colour altogether, with transparency, and colours at the vertices.
    colour: bool = False
    #: Metal and roughness, which the part says.
    surface: bool = False


class Looks:
    """The materials that primitives are to get, until `settle` puts them into the document."""

    def __init__(self, edit: GlbEdit) -> None:
        self._edit = edit
        self._raw = edit.raw
        self._wanted: list[tuple[dict[str, Any], dict[str, Any]]] = []
        #: The textures of pictures, with these, so that nothing else gets their identity.
        self._textures: dict[int, tuple[int, npt.NDArray[np.uint8]]] = {}

    def of(self, primitive: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the material that a primitive has in the document; empty without."""
        number = primitive.get("material")
        return {} if number is None else copy.deepcopy(self._raw["materials"][number])

    def want(self, primitive: dict[str, Any], look: dict[str, Any]) -> None:
        """Let a primitive have a material. Its variants of materials go."""
        extensions = primitive.get("extensions", {})
        if extensions.pop(_VARIANTS, None) is not None and not extensions:
            del primitive["extensions"]
        self._wanted.append((primitive, look))

    def paint(self, look: dict[str, Any], part: MeshPart, paint: Paint, where: Mapping[str, Any]) -> None:
        """Put the part's picture into a material.

        Args:
            look: is changed.
            part: has it.
            paint: what else it replaces.
            where: a `textureInfo` without index: the coordinates of the picture.
        """
        surface = look.setdefault("pbrMetallicRoughness", {})
        assert part.texture is not None, "a part that is painted has a texture"
        if paint.colour:
            _forget_colour(look)
            self._dim(look)
            if not paint.surface and not {"metallicFactor", "roughnessFactor", "metallicRoughnessTexture"} & {*surface}:
                # glTF's own default is metal, which nobody means who says nothing.
                surface |= {"metallicFactor": part.material.metallic, "roughnessFactor": part.material.roughness}
        name = str(look.get("name") or part.material.name)
        look.setdefault("name", name)
        surface["baseColorTexture"] = {"index": self._texture(part.texture, name), **copy.deepcopy(dict(where))}
        if paint.surface:
            surface |= {"metallicFactor": part.material.metallic, "roughnessFactor": part.material.roughness}
            surface.pop("metallicRoughnessTexture", None)
            if part.surface_texture is not None:
                number = self._texture(part.surface_texture, f"{name} roughness and metallic")
                surface["metallicRoughnessTexture"] = {"index": number, **copy.deepcopy(dict(where))}
                surface["metallicFactor"] = surface["roughnessFactor"] = 1.0

    def settle(self) -> None:
        """Put the materials into the document: in the place of the old one where all that had that get another."""
        materials: list[dict[str, Any]] = self._raw.setdefault("materials", [])
        users = Counter(each.holder[each.key] for each in references(self._raw) if each.kind == "materials")
        ours = Counter(primitive.get("material") for primitive, _ in self._wanted)
        numbers: dict[tuple[int | None, str], int] = {}
        replaced: set[int] = set()
        for primitive, look in self._wanted:
            old = primitive.get("material")
            key = old, json.dumps(look, sort_keys=True)
            if key not in numbers:
                if old is None and not look:
                    continue
                if old is not None and old not in replaced and ours[old] == users[old]:
                    replaced.add(old)
                    numbers[key] = old
                    materials[old] = look
                else:
                    numbers[key] = len(materials)
                    materials.append(look)
            primitive["material"] = numbers[key]
        if not materials:
            del self._raw["materials"]

    def _dim(self, look: dict[str, Any]) -> None:
        """Take light away that shows the picture of the old base colour."""
        light = look.get("emissiveTexture")
        old = look["pbrMetallicRoughness"].get("baseColorTexture")
        if light is not None and old is not None and self._image(light["index"]) == self._image(old["index"]):
            del look["emissiveTexture"]
            look.pop("emissiveFactor", None)

    def _image(self, texture: int) -> Any:
        return {key: value for key, value in self._raw["textures"][texture].items() if key in ("source", "extensions")}

    def _texture(self, pixels: npt.NDArray[np.uint8], name: str) -> int:
        if id(pixels) in self._textures:
            return self._textures[id(pixels)][0]
        images = self._raw.setdefault("images", [])
        images.append({"bufferView": self._edit.view(png_bytes(pixels)), "mimeType": "image/png", "name": name})
        sampler = {"magFilter": _LINEAR, "minFilter": _MIPMAPS, "wrapS": _CLAMP, "wrapT": _CLAMP}
        samplers = self._raw.setdefault("samplers", [])
        if sampler not in samplers:
            samplers.append(sampler)
        textures = self._raw.setdefault("textures", [])
        textures.append({"source": len(images) - 1, "sampler": samplers.index(sampler)})
        self._textures[id(pixels)] = len(textures) - 1, pixels
        return len(textures) - 1


def sets_of(look: dict[str, Any]) -> set[int]:
    """The sets of coordinates by which a material's textures lie."""
    return {_set_of(holder[key]) for holder, key in texture_infos(look)}


def without_pictures(look: dict[str, Any], paint: Paint) -> dict[str, Any]:
    """A copy of a material without what `Looks.paint` replaces."""
    left = copy.deepcopy(look)
    surface = left.get("pbrMetallicRoughness", {})
    surface.pop("baseColorTexture", None)
    if paint.surface:
        surface.pop("metallicRoughnessTexture", None)
    if paint.colour:
        _forget_colour(left)
    return left


def with_sets(look: dict[str, Any], sets: Mapping[int, int], roughness_metal: tuple[float, float] | None) -> None:
    """Give textures other sets of coordinates, and leave out those whose set is gone, with what has no sense without.

    Args:
        look: a material, which is changed.
        sets: the new number of each set that is left.
        roughness_metal: the means of the map of both, where it is known.
    """
    surface = look.get("pbrMetallicRoughness", {})
    extensions = look.get("extensions", {})
    for name in [name for name, each in extensions.items() if isinstance(each, dict) and sets_of(each) - sets.keys()]:
        del extensions[name]
    if "extensions" in look and not extensions:
        del look["extensions"]
    for holder, key in list(texture_infos(look)):
        old = _set_of(holder[key])
        if old in sets:
            _set(holder[key], sets[old])
            continue
        del holder[key]
        if key == "baseColorTexture":
            # Without a picture a material that says nothing of its colour would be taken for one without any.
            surface.setdefault("baseColorFactor", [1.0, 1.0, 1.0, 1.0])
        if key == "emissiveTexture":
            look.pop("emissiveFactor", None)
        elif key == "baseColorTexture" and look.get("alphaMode") == "MASK":
            del look["alphaMode"]
            look.pop("alphaCutoff", None)
        elif key == "metallicRoughnessTexture" and roughness_metal is not None:
            for factor, mean in zip(("roughnessFactor", "metallicFactor"), roughness_metal, strict=True):
                surface[factor] = round(surface.get(factor, 1.0) * mean, 4)


def place_of_textures(look: Mapping[str, Any], attributes: Collection[str]) -> dict[str, Any]:
    """The `textureInfo`, without its index, of the texture that says where a material's pictures lie.

    `attributes` are those of the primitive that has it.
    """
    surface = look.get("pbrMetallicRoughness", {})
    listed = [surface.get("baseColorTexture"), surface.get("metallicRoughnessTexture"), *map(look.get, _CORE)]
    first: dict[str, Any] = next((each for each in listed if each is not None), {})
    place = {key: value for key, value in first.items() if key in ("texCoord", "extensions")}
    # Without the coordinates that it names it is read by the first ones.
    return place if f"TEXCOORD_{_set_of(place)}" in attributes else {}


def drop_extensions(raw: dict[str, Any], before: Collection[str]) -> None:
    """Leave extensions out that the document used `before` and no longer does."""
    named = [
        mapping
        for mesh in raw.get("meshes", ())
        for primitive in mesh["primitives"]
        for mapping in [primitive.get("extensions", {}).get(_VARIANTS)]
        if mapping
    ]
    if not named and _VARIANTS in raw.get("extensions", {}):
        del raw["extensions"][_VARIANTS]
        if not raw["extensions"]:
            del raw["extensions"]
    gone = set(before) - extension_names(raw)
    for key in ("extensionsUsed", "extensionsRequired"):
        if key in raw:
            raw[key] = [each for each in raw[key] if each not in gone]
            if not raw[key]:
                del raw[key]


def _forget_colour(look: dict[str, Any]) -> None:
    look.get("pbrMetallicRoughness", {}).pop("baseColorFactor", None)
    for key in ("alphaMode", "alphaCutoff"):
        look.pop(key, None)
    extensions = look.get("extensions", {})
    for name in _OTHER_COLOURS:
        extensions.pop(name, None)
    if "extensions" in look and not extensions:
        del look["extensions"]


def _set_of(info: Mapping[str, Any]) -> int:
    moved = info.get("extensions", {}).get(_TRANSFORM, {})
    number: int = moved.get("texCoord", info.get("texCoord", 0))
    return number


def _set(info: dict[str, Any], number: int) -> None:
    moved = info.get("extensions", {}).get(_TRANSFORM, {})
    for holder in (info, moved):
        if "texCoord" in holder or (holder is info and number):
            holder["texCoord"] = number
