"""Mesh files for tests, sound and spoilt, made byte by byte."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

_CASES = Path(__file__).parents[3] / "shared" / "cases"

#: A tetrahedron.
VERTICES = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
FACES = ((0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3))


def gltf_document() -> dict[str, Any]:
    """The JSON of a tetrahedron; the binary chunk is `gltf_binary()`."""
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "body"}],
        "meshes": [{"name": "body", "primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": 48},
        ],
        "buffers": [{"byteLength": 96}],
    }


def gltf_binary(vertices: Any = VERTICES, faces: Any = FACES) -> bytes:
    """Positions, then indices."""
    return b"".join(struct.pack("<3f", *v) for v in vertices) + b"".join(struct.pack("<3I", *f) for f in faces)


def glb(document: dict[str, Any] | bytes | None = None, binary: bytes | None = None) -> bytes:
    """A GLB file; the JSON may be given as bytes, to be broken."""
    document = gltf_document() if document is None else document
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    binary = gltf_binary() if binary is None else binary
    if binary:
        body += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def obj(before: str = "", faces: str | None = None) -> bytes:
    """An OBJ file."""
    lines = [f"v {x} {y} {z}" for x, y, z in VERTICES]
    text = "\n".join([before, *lines, faces or "\n".join(f"f {a + 1} {b + 1} {c + 1}" for a, b, c in FACES)])
    return text.encode()


def ply(
    vertices: int = 4, faces: int = 4, *, binary: bool = True, comment: str = "", body: bytes | None = None
) -> bytes:
    """A PLY file; the counts are those of its header."""
    form = "binary_little_endian" if binary else "ascii"
    head = f"ply\nformat {form} 1.0\n{comment}element vertex {vertices}\n"
    head += "property float x\nproperty float y\nproperty float z\n"
    head += f"element face {faces}\nproperty list uchar int vertex_indices\nend_header\n"
    if body is None and binary:
        body = b"".join(struct.pack("<3f", *v) for v in VERTICES)
        body += b"".join(struct.pack("<B3i", 3, *f) for f in FACES)
    elif body is None:
        lines = [" ".join(map(str, v)) for v in VERTICES] + [" ".join(map(str, (3, *f))) for f in FACES]
        body = ("\n".join(lines) + "\n").encode()
    return head.encode() + body


def stl(count: int | None = None) -> bytes:
    """A binary STL file; `count` is what its header claims."""
    triangles = b"".join(
        struct.pack("<12fH", 0, 0, 0, *VERTICES[a], *VERTICES[b], *VERTICES[c], 0) for a, b, c in FACES
    )
    return b"\0" * 80 + struct.pack("<I", len(FACES) if count is None else count) + triangles


def text_stl() -> bytes:
    """A text STL file."""
    lines = ["solid body"]
    for face in FACES:
        lines += ["facet normal 0 0 1", "outer loop"]
        lines += ["vertex " + " ".join(map(str, VERTICES[corner])) for corner in face]
        lines += ["endloop", "endfacet"]
    return "\n".join([*lines, "endsolid body"]).encode()


def off(vertices: int = 4, faces: int = 4) -> bytes:
    """An OFF file; the counts are those of its header."""
    lines = ["OFF", f"{vertices} {faces} 0"]
    lines += [" ".join(map(str, v)) for v in VERTICES] + [" ".join(map(str, (3, *f))) for f in FACES]
    return ("\n".join(lines) + "\n").encode()


#: One sound file of each format and of each form that it has.
SOUND = {
    "body.glb": glb(),
    "body.obj": obj(),
    "body.ply": ply(),
    "text.ply": ply(binary=False),
    "body.stl": stl(),
    "text.stl": text_stl(),
    "body.off": off(),
}


def case(name: str) -> Path:
    """A small file that real ones were like, of the collection beside the repository; skips where it is not there."""
    path = _CASES / name
    if not path.exists():
        pytest.skip("the collection of cases is not here")
    return path
