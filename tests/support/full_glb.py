"""A GLB file that has more than readers of triangles read, as real ones do."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from .tetrahedron import Tetrahedron

#: What nothing that remakes a part may change.
KEPT = ("asset", "cameras", "extensions", "scene", "scenes")


def full() -> Tetrahedron:
    """A tetrahedron on a turned and scaled node, with two sets of coordinates, three maps, a light, a camera, an
    animation, notes of programs and a material that nothing uses.
    """
    body = Tetrahedron()
    attributes = body.primitive["attributes"]
    attributes["NORMAL"] = body.add([[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, -1]], "VEC3")
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    for name, scale in (("TEXCOORD_0", 0.5), ("TEXCOORD_1", 0.25)):
        attributes[name] = body.add(uv * scale, "VEC2")
    material = body.texture()
    material["pbrMetallicRoughness"] |= {"metallicFactor": 0.25, "baseColorFactor": [0.5, 0.25, 0.125, 1]}
    material |= {
        "normalTexture": {"index": 1, "scale": 0.5},
        "occlusionTexture": {"index": 2, "texCoord": 1},
        "extensions": {"KHR_materials_clearcoat": {"clearcoatFactor": 1, "clearcoatTexture": {"index": 2}}},
        "extras": {"program": 7},
        "doubleSided": True,
    }
    document = body.document
    document["materials"].append({"name": "spare"})
    for number in (1, 2):
        picture(body, (128, 128, 255 - number))
        document["textures"].append({"source": number})
    times = body.add([0, 1], "SCALAR", min=[0], max=[1])
    moves = body.add([[0, 0, 0], [0, 1, 0]], "VEC3")
    document |= {
        "cameras": [{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}],
        "extensions": {"KHR_lights_punctual": {"lights": [{"type": "point"}]}},
        "extensionsUsed": ["KHR_lights_punctual", "KHR_materials_clearcoat"],
        "nodes": [
            {"name": "room", "children": [1, 2], "translation": [0, 3, 0], "scale": [2, 2, 2], "extras": {"floor": 1}},
            {"name": "body", "mesh": 0, "rotation": [0, 0, 0.6, 0.8]},
            {"name": "lamp", "camera": 0, "extensions": {"KHR_lights_punctual": {"light": 0}}},
        ],
        "animations": [
            {
                "name": "swing",
                "samplers": [{"input": times, "output": moves}],
                "channels": [{"sampler": 0, "target": {"node": 2, "path": "translation"}}],
            }
        ],
    }
    return body


def see_through(mode: str) -> Tetrahedron:
    """A tetrahedron whose picture has an alpha of 51, which its material shows in this mode."""
    body = Tetrahedron()
    uv = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(uv, "VEC2")
    body.texture()["alphaMode"] = mode
    picture(body, (10, 200, 30, 51))
    body.document["textures"][0]["source"] = 1
    return body


def picture(body: Tetrahedron, colour: tuple[int, ...]) -> None:
    """Add an image of its own, which no texture shows yet."""
    made = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", (2, 2), colour).save(made, format="PNG")
    data = made.getvalue()
    entry = body.document["images"][0] | {"bufferView": len(body.document["bufferViews"])}
    body.document["bufferViews"].append({"buffer": 0, "byteOffset": len(body.binary), "byteLength": len(data)})
    body.binary += data + b"\0" * (-len(data) % 4)
    body.document["buffers"][0]["byteLength"] = len(body.binary)
    body.document["images"].append(entry)


def rows(document: dict[str, Any], binary: bytes, index: int) -> Any:
    """(count, components) floats of an accessor."""
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    kind = {5126: "<f4", 5121: "u1", 5123: "<u2", 5125: "<u4"}[accessor["componentType"]]
    return np.frombuffer(binary, kind, accessor["count"] * width, start).reshape(-1, width)
