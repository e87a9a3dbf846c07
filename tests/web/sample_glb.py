"""A GLB file of two boxes, a red and a blue one, with a skeleton of two bones if wanted; the standard library alone."""

from __future__ import annotations

import json
import struct
from typing import Any

_CORNERS = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
_FACES = [
    (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
    (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
]  # fmt: skip
_COLOURS = ((0.9, 0.02, 0.02), (0.02, 0.05, 0.9))
_FLOAT, _U16, _U8 = 5126, 5123, 5121


class _File:
    def __init__(self) -> None:
        self.binary = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, data: bytes, component: int, kind: str, count: int, **more: Any) -> int:
        self.views.append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data + b"\0" * (-len(data) % 4)
        self.accessors.append(
            {"bufferView": len(self.views) - 1, "componentType": component, "type": kind, "count": count, **more}
        )
        return len(self.accessors) - 1


def sample_glb(bones: bool = False) -> bytes:
    """Two boxes side by side; with `bones` both hang on a skeleton."""
    file = _File()
    meshes: list[dict[str, Any]] = []
    nodes: list[dict[str, Any]] = []
    for at in range(2):
        corners = [(x + 1.2 * at - 0.6, y * (1 + at), z) for x, y, z in _CORNERS]
        least, most = ([function(each) for each in zip(*corners, strict=True)] for function in (min, max))
        flat = [value for corner in corners for value in corner]
        attributes = {"POSITION": file.add(struct.pack("<24f", *flat), _FLOAT, "VEC3", 8, min=least, max=most)}
        if bones:
            attributes["JOINTS_0"] = file.add(bytes((at, 0, 0, 0) * 8), _U8, "VEC4", 8)
            attributes["WEIGHTS_0"] = file.add(struct.pack("<32f", *((1.0, 0.0, 0.0, 0.0) * 8)), _FLOAT, "VEC4", 8)
        indices = file.add(struct.pack("<36H", *(each for face in _FACES for each in face)), _U16, "SCALAR", 36)
        meshes.append({"primitives": [{"attributes": attributes, "indices": indices, "material": at}]})
        nodes.append({"name": ("left", "right")[at], "mesh": at, **({"skin": 0} if bones else {})})
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": nodes,
        "meshes": meshes,
        "materials": [
            {"pbrMetallicRoughness": {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0}} for colour in _COLOURS
        ],
    }
    if bones:
        document["nodes"] += [{"name": "root", "children": [3]}, {"name": "tip", "translation": [0.6, 0.0, 0.0]}]
        document["scenes"][0]["nodes"].append(2)
        matrices = struct.pack("<32f", *_moved(0.0), *_moved(-0.6))
        document["skins"] = [{"joints": [2, 3], "inverseBindMatrices": file.add(matrices, _FLOAT, "MAT4", 2)}]
    document |= {
        "accessors": file.accessors,
        "bufferViews": file.views,
        "buffers": [{"byteLength": len(file.binary)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(file.binary), len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(file.binary), b"BIN\0") + bytes(file.binary)


def _moved(x: float) -> tuple[float, ...]:
    """A translation along x, column by column."""
    return (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, x, 0.0, 0.0, 1.0)
