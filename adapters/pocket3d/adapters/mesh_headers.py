"""What a mesh file says it holds, read from its head before anything is decoded. Standard library only.

A few bytes can claim billions of vertices; a decoder believes them and allocates. So the claims are compared with the
limits and with the size of the file first.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Claims", "MeshRefused", "read_claims"]

_MAX_JSON_BYTES = 64 * 1024 * 1024
_MAX_PLY_HEADER = 64 * 1024
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
#: Extensions that a reader must know to see the right geometry, and that we do know (or may ignore safely).
_KNOWN_REQUIRED = frozenset({"KHR_materials_unlit", "KHR_texture_transform", "KHR_mesh_quantization"})
_PLY_BYTES = {
    "char": 1, "uchar": 1, "int8": 1, "uint8": 1, "short": 2, "ushort": 2, "int16": 2, "uint16": 2, "int": 4,
    "uint": 4, "int32": 4, "uint32": 4, "float": 4, "float32": 4, "double": 8, "float64": 8,
}  # fmt: skip


class MeshRefused(ValueError):
    """The file is not what it should be; the message says why."""


class Claims(NamedTuple):
    """What the file claims to hold; None where its head does not say."""

    vertices: int | None
    faces: int | None
    #: Encoded images inside the file.
    images: tuple[bytes, ...] = ()
    #: What lies outside the file and was not looked at.
    external: tuple[str, ...] = ()


def read_claims(path: Path, suffix: str) -> Claims:
    """Look at the head of a file.

    Args:
        path: the file.
        suffix: glb, ply, stl, obj or off.

    Raises:
        MeshRefused: broken, of another format, or it needs files that are not there.
        OSError: it cannot be read.
    """
    return {"glb": _glb, "ply": _ply, "stl": _stl, "obj": _obj, "off": _off}[suffix](path)


# ---------------------------------------------------------------- GLB


def _glb(path: Path) -> Claims:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(20)
        if len(head) < 20 or head[:4] != b"glTF":
            raise MeshRefused("not a binary glTF file")
        version, length, json_bytes = struct.unpack("<III", head[4:16])
        if version != 2:
            raise MeshRefused(f"glTF version {version}; version 2 is read")
        if length > size or json_bytes > length - 20 or head[16:20] != b"JSON":
            raise MeshRefused("the file is cut off or its chunks are wrong")
        if json_bytes > _MAX_JSON_BYTES:
            raise MeshRefused(f"its JSON part has {json_bytes:,} bytes, at most {_MAX_JSON_BYTES:,} are read")
        text = file.read(json_bytes)
        chunk = file.read(8)
        body = b""
        if len(chunk) == 8:
            body_bytes, kind = struct.unpack("<I4s", chunk)
            if kind == b"BIN\0":
                if body_bytes > length:
                    raise MeshRefused("the file is cut off")
                body = file.read(body_bytes)
                if len(body) < body_bytes:
                    raise MeshRefused("the file is cut off")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MeshRefused(f"its JSON part cannot be read: {str(error)[:100]}") from error
    if not isinstance(document, dict):
        raise MeshRefused("its JSON part is no object")
    try:
        return _glb_claims(document, body)
    except (TypeError, KeyError, IndexError, AttributeError, ValueError, RecursionError) as error:
        if isinstance(error, MeshRefused):
            raise
        raise MeshRefused(f"its JSON part is not glTF: {type(error).__name__}: {str(error)[:100]}") from error


def _glb_claims(document: dict[str, Any], body: bytes) -> Claims:
    unknown = set(document.get("extensionsRequired", [])) - _KNOWN_REQUIRED
    if unknown:
        raise MeshRefused(f"it needs the extensions {', '.join(sorted(map(str, unknown)))}; export it without them")
    for number, buffer in enumerate(document.get("buffers", [])):
        if "uri" in buffer or number > 0:
            raise MeshRefused("its data lie in other files (buffers with a uri); export one self-contained GLB")
        if buffer["byteLength"] > len(body):
            raise MeshRefused("the file is cut off: its data are shorter than it says")
    views = document.get("bufferViews", [])
    for view in views:
        if not 0 <= view.get("byteOffset", 0) <= view.get("byteOffset", 0) + view["byteLength"] <= len(body):
            raise MeshRefused("a buffer view lies outside the data")
    accessors = document.get("accessors", [])
    for accessor in accessors:
        _check_accessor(accessor, views)
    images: list[bytes] = []
    for image in document.get("images", []):
        if "bufferView" in image:
            view = views[image["bufferView"]]
            start = view.get("byteOffset", 0)
            images.append(body[start : start + view["byteLength"]])
        elif str(image.get("uri", "")).startswith("data:"):
            images.append(base64.b64decode(image["uri"].partition(",")[2]))
        else:
            raise MeshRefused("a texture lies in another file; export one self-contained GLB")
    vertices, faces = _placed(document, accessors)
    return Claims(vertices, faces, tuple(images))


def _check_accessor(accessor: dict[str, Any], views: list[dict[str, Any]]) -> None:
    count = accessor["count"]
    item = _COMPONENT_BYTES[accessor["componentType"]] * _COMPONENTS[accessor["type"]]
    if not isinstance(count, int) or count < 0:
        raise MeshRefused("an accessor with a bad count")
    if "bufferView" not in accessor or "sparse" in accessor:
        raise MeshRefused("accessors without data, or sparse ones, are not read")
    view = views[accessor["bufferView"]]
    stride = view.get("byteStride", item) or item
    needed = accessor.get("byteOffset", 0) + (stride * (count - 1) + item if count else 0)
    if stride < item or accessor.get("byteOffset", 0) < 0 or needed > view["byteLength"]:
        raise MeshRefused("an accessor claims more than its buffer view holds")


def _placed(document: dict[str, Any], accessors: list[dict[str, Any]]) -> tuple[int, int]:
    """Vertices and faces as placed by the nodes: one mesh may stand in the scene a million times."""
    sizes: list[tuple[int, int]] = []
    for mesh in document.get("meshes", []):
        vertices = faces = 0
        for primitive in mesh["primitives"]:
            count = accessors[primitive["attributes"]["POSITION"]]["count"]
            vertices += count
            indices = primitive.get("indices")
            faces += (accessors[indices]["count"] if indices is not None else count) // 3
        sizes.append((vertices, faces))
    nodes = document.get("nodes", [])
    parents = [0] * len(nodes)
    for node in nodes:
        for child in node.get("children", []):
            parents[child] += 1
    if any(count > 1 for count in parents) or (nodes and all(parents)):
        raise MeshRefused("its nodes form no tree")
    used = [node["mesh"] for node in nodes if "mesh" in node]
    placed = [sizes[index] for index in used] if nodes else sizes
    return sum(v for v, _ in placed), sum(f for _, f in placed)


# ---------------------------------------------------------------- PLY


def _ply(path: Path) -> Claims:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_MAX_PLY_HEADER)
    end = re.search(rb"(?:^|\n)end_header\r?\n", head)
    if not head.startswith(b"ply") or end is None:
        raise MeshRefused("not a PLY file, or its header is cut off")
    lines = head[: end.start()].decode("ascii", "replace").split("\n")
    binary = any(line.startswith("format binary") for line in lines)
    counts: dict[str, int] = {}
    least = 0
    name = ""
    for line in lines:
        words = line.split()
        if words[:1] == ["element"] and len(words) == 3:
            if not words[2].isdigit():
                raise MeshRefused(f"element {words[1][:40]} with a bad count")
            name = words[1]
            counts[name] = int(words[2])
        elif words[:1] == ["property"] and len(words) >= 3:
            kind = words[2] if words[1] == "list" else words[1]
            if kind not in _PLY_BYTES:
                raise MeshRefused(f"a property of the unknown type {kind[:40]}")
            # A number in a text takes a digit and a space at least.
            least += counts.get(name, 0) * (_PLY_BYTES[kind] if binary else 2)
    if least > size - end.end() + 2:
        raise MeshRefused("the file is cut off: it is shorter than its header says")
    external = tuple(line.split()[-1] for line in lines if line.lower().startswith("comment texturefile"))
    return Claims(counts.get("vertex", 0), counts.get("face", 0), (), external)


# ---------------------------------------------------------------- STL, OBJ, OFF


def _stl(path: Path) -> Claims:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
        if len(head) < 15:
            raise MeshRefused("not an STL file")
        if head.lstrip()[:5].lower() == b"solid" and (b"facet" in head or b"endsolid" in head):
            faces = (head.count(b"facet normal")) + _count(file, (b"facet normal",))[0]
            return Claims(3 * faces, faces)
    if size < 84:
        raise MeshRefused("not an STL file")
    (faces,) = struct.unpack("<I", head[80:84])
    if 84 + 50 * faces > size:
        raise MeshRefused(f"the file is cut off: it claims {faces:,} triangles and has room for {(size - 84) // 50:,}")
    return Claims(3 * faces, faces)


def _obj(path: Path) -> Claims:
    with path.open("rb") as file:
        vertices, faces, libraries = _count(file, (b"\nv ", b"\nf ", b"\nmtllib "))
    return Claims(vertices + 1, faces + 1, (), ("materials (mtllib)",) if libraries else ())


def _off(path: Path) -> Claims:
    with path.open("rb") as file:
        head = file.read(4096).decode("ascii", "replace")
    lines = [line.partition("#")[0].strip() for line in head.split("\n")]
    words = " ".join(line for line in lines if line).split()
    if not words or words[0].upper() != "OFF" or len(words) < 4 or not all(w.isdigit() for w in words[1:4]):
        raise MeshRefused("not an OFF file")
    vertices, faces = int(words[1]), int(words[2])
    if 6 * vertices + 8 * faces > path.stat().st_size + 64:
        raise MeshRefused("the file is cut off: it is shorter than its header says")
    return Claims(vertices, faces)


def _count(file: Any, needles: tuple[bytes, ...]) -> list[int]:
    """How often each occurs in the rest of the file, read in blocks."""
    counts = [0] * len(needles)
    keep = max(map(len, needles)) - 1
    tail = b"\n"
    while block := file.read(1 << 20):
        text = tail + block
        for index, needle in enumerate(needles):
            counts[index] += text.count(needle) - tail.count(needle)
        tail = text[-keep:]
    return counts
