"""Puts right what assimp writes as GLB otherwise than glTF has it. Pure.

Colours are sRGB in FBX, COLLADA and 3DS, and linear in glTF; a picture stands in place of a material's colour there,
and is multiplied with it here; pictures may be in any format, and elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ..image_input import check_pixels, open_image, picture_formats, plain, refusing
from ..srgb import from_srgb
from .glb_container import GlbBuffer
from .limits import Refused

_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
#: Read in a mesh file beside what is read as a picture by itself.
_FURTHER = ("TGA",)
#: What of a material's extensions assimp does not make up.
_MEANT = "KHR_materials_unlit"
#: What assimp notes at nodes of every file, for programs that know FBX and COLLADA.
_NOTES = {
    *("Collada_id", "Collada_sid", "COLLADA_ID", "IsNull", "InheritType", "DefaultAttributeIndex", "RotationActive"),
    *("ScalingMax", "currentUVSet", "MaxHandle"),
}


def tidy(
    raw: dict[str, Any], binary: bytes, files: Mapping[str, bytes], unit: float
) -> tuple[dict[str, Any], bytes, list[str]]:
    """Put a document right.

    Args:
        raw: the JSON; it is changed.
        binary: its one buffer.
        files: that came along, by path; pictures are looked up among them by their names.
        unit: of its lengths, in metres.

    Returns:
        The JSON, the buffer, and what was left out, for people.

    Raises:
        Refused: a picture of too many pixels.
    """
    buffer = GlbBuffer(bytearray(binary), raw.setdefault("bufferViews", []), raw["accessors"])
    told = _put_pictures(raw, buffer, files)
    for material in raw.get("materials", ()):
        _set_colours(material)
    _set_attributes(raw, buffer)
    for root in raw["scenes"][0]["nodes"]:
        _scale(raw["nodes"][root], unit)
    raw["asset"] = {"version": "2.0", "generator": "assimp, Pocket3DStudio"}
    unlit = any(_MEANT in material.get("extensions", {}) for material in raw.get("materials", ()))
    raw.pop("extensionsRequired", None)
    raw["extensionsUsed"] = [_MEANT]
    if not unlit:
        del raw["extensionsUsed"]
    raw["buffers"] = [{"byteLength": len(buffer.data)}]
    return raw, bytes(buffer.data), told


# ---------------------------------------------------------------- pictures


def _put_pictures(raw: dict[str, Any], buffer: GlbBuffer, files: Mapping[str, bytes]) -> list[str]:
    """Have each picture inside as PNG or JPEG; those that are not there, or cannot be read, go with their textures."""
    by_name = {PurePosixPath(path).name.lower(): data for path, data in files.items()}
    told: list[str] = []
    numbers: dict[int, int] = {}
    kept: list[dict[str, Any]] = []
    for index, image in enumerate(raw.pop("images", ())):
        name = str(image.get("name") or image.get("uri", "")).replace("\\", "/").rpartition("/")[2]
        if "bufferView" in image:
            view = buffer.views[image["bufferView"]]
            start = view.get("byteOffset", 0)
            data: bytes | None = bytes(buffer.data[start : start + view["byteLength"]])
        else:
            data = by_name.get(name.lower())
        if data is None:
            told.append(f"picture {name[:80]!r}: it lies in another file; give both as one zip")
            continue
        try:
            found = _glb_picture(data)
        except Refused as error:
            told.append(f"picture {name[:80]!r}: {error}")
            continue
        if found is not data or "bufferView" not in image:
            image = {"bufferView": buffer.view(found)}
        kind = next(kind for start, kind in _KINDS.items() if found.startswith(start))
        numbers[index] = len(kept)
        kept.append({"bufferView": image["bufferView"], "mimeType": kind, "name": PurePosixPath(name).stem})
    if kept:
        raw["images"] = kept
    _renumber(raw, numbers)
    return told


def _glb_picture(data: bytes) -> bytes:
    """The picture as a format that glTF knows."""
    if any(data.startswith(start) for start in _KINDS):
        open_image(data)
        return data
    image = open_image(data, (*picture_formats(), *_FURTHER))
    check_pixels(image)
    encoded = BytesIO()
    with refusing():
        image.load()
        plain(image).save(encoded, format="PNG")
    return encoded.getvalue()


def _renumber(raw: dict[str, Any], images: Mapping[int, int]) -> None:
    """Leave the textures whose images are there."""
    numbers: dict[int, int] = {}
    kept: list[dict[str, Any]] = []
    for index, texture in enumerate(raw.pop("textures", ())):
        if texture.get("source") in images:
            numbers[index] = len(kept)
            kept.append({**texture, "source": images[texture["source"]]})
    if kept:
        raw["textures"] = kept
    for material in raw.get("materials", ()):
        for owner in (material, material.get("pbrMetallicRoughness", {})):
            for key in [key for key in owner if key.endswith("Texture")]:
                number = numbers.get(owner[key].get("index"))
                if number is None:
                    del owner[key]
                else:
                    owner[key]["index"] = number


# ---------------------------------------------------------------- materials


def _set_colours(material: dict[str, Any]) -> None:
    surface = material.setdefault("pbrMetallicRoughness", {})
    *colour, alpha = surface.get("baseColorFactor", [1.0, 1.0, 1.0, 1.0])
    # What cannot be seen at all is an error of exporters that turn transparency and opacity round.
    alpha = alpha if 0 < alpha < 1 else 1.0
    shown = [1.0, 1.0, 1.0] if "baseColorTexture" in surface else _linear(colour)
    surface["baseColorFactor"] = [*shown, alpha]
    if alpha == 1 and material.get("alphaMode") == "BLEND":
        del material["alphaMode"]
    surface.setdefault("roughnessFactor", 1.0)
    if "emissiveFactor" in material:
        material["emissiveFactor"] = _linear(material["emissiveFactor"])
    unlit = _MEANT in material.pop("extensions", {})
    if unlit:
        material["extensions"] = {_MEANT: {}}


def _linear(colour: list[float]) -> list[float]:
    return [round(float(each), 9) for each in from_srgb(np.clip(np.array(colour, dtype=np.float64), 0, 1))]


# ---------------------------------------------------------------- geometry


def _primitives(raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for mesh in raw["meshes"]:
        yield from mesh["primitives"]


def _set_attributes(raw: dict[str, Any], buffer: GlbBuffer) -> None:
    """Linear colours, coordinates of two numbers, and nothing of polygons, skins or morph targets."""
    done: set[int] = set()
    for primitive in _primitives(raw):
        primitive.pop("extensions", None)
        primitive.pop("targets", None)
        for name, index in list(primitive["attributes"].items()):
            accessor = buffer.accessors[index]
            if name.startswith(("JOINTS_", "WEIGHTS_")):
                del primitive["attributes"][name]
            elif index not in done and name.startswith("TEXCOORD_") and accessor["type"] == "VEC3":
                accessor["type"] = "VEC2"
                buffer.views[accessor["bufferView"]]["byteStride"] = 12
                accessor |= {key: accessor[key][:2] for key in ("min", "max") if key in accessor}
            elif index not in done and name.startswith("COLOR_"):
                _make_linear(accessor, buffer)
            done.add(index)
    for mesh in raw["meshes"]:
        mesh.pop("weights", None)
    for node in raw["nodes"]:
        node.pop("skin", None)
        noted = {key: each for key, each in node.pop("extras", {}).items() if key not in _NOTES and each != ""}
        if noted:
            node["extras"] = noted
    raw.pop("skins", None)
    raw.pop("animations", None)


def _make_linear(accessor: dict[str, Any], buffer: GlbBuffer) -> None:
    view = buffer.views[accessor["bufferView"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    rows = np.frombuffer(buffer.data, dtype="<f4", count=accessor["count"] * 4, offset=start).reshape(-1, 4)
    rows[:, :3] = from_srgb(rows[:, :3].clip(0, 1))
    rows[:, 3] = rows[:, 3].clip(0, 1)
    accessor.pop("min", None)
    accessor.pop("max", None)


def _scale(node: dict[str, Any], unit: float) -> None:
    """Have all that hangs below a node in metres."""
    if unit == 1:
        return
    if "matrix" in node:
        # Column by column; the fourth row stays.
        node["matrix"] = [value if n % 4 == 3 else value * unit for n, value in enumerate(node["matrix"])]
        return
    node["scale"] = [value * unit for value in node.get("scale", [1.0, 1.0, 1.0])]
    node["translation"] = [value * unit for value in node.get("translation", [0.0, 0.0, 0.0])]
