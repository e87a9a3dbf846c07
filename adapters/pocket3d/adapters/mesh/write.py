"""Meshes as values, and their files: GLB, glTF, OBJ with MTL, PLY, STL, 3MF, USDZ. For adapters that build their
geometry themselves.

Colours are sRGB 0..1 everywhere in this module; GLB's factors are linear, as glTF 2.0 wants them, and are converted
when written. Axes: +Y up, metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .gltf_files import write_gltf
from .mesh_part import Material, MeshPart, png_bytes
from .plain_files import EDGE, parts_offset, ply_bytes, stl_bytes, write_obj
from .read.glb_container import GlbBuffer, pack
from .srgb import from_srgb
from .threemf_file import threemf_bytes
from .topology import is_watertight
from .triangles import FloatArray, IntArray, unit
from .usdz_file import usdz_bytes

__all__ = [
    "ARRAY_BUFFER",
    "COLOUR_IN_FORMAT",
    "Material",
    "MeshPart",
    "glb_bytes",
    "is_watertight",
    "statistics",
    "vertex_normals",
    "write_mesh",
]

#: How each format keeps colour, for people. These are the formats that `write_mesh` writes, the default first.
COLOUR_IN_FORMAT = {
    "glb": "PBR materials",
    "obj": "materials in the .mtl file beside it",
    "ply": "vertex colours",
    "stl": "none: STL holds geometry only",
    "3mf": "materials and vertex colours",
    "usdz": "UsdPreviewSurface materials",
    "gltf": "PBR materials",
}


def vertex_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    """(V, 3) unit normals, the mean of the faces' weighted by area: large flat faces stay flat beside small bevels."""
    # Column by column: rows of three numbers take several times as long.
    columns = [np.asarray(vertices[:, axis], dtype=np.float64) for axis in range(3)]
    corners = [np.ascontiguousarray(faces[:, corner]) for corner in range(3)]
    origin = [column[corners[0]] for column in columns]
    u, v = ([column[corner] - at for column, at in zip(columns, origin, strict=True)] for corner in corners[1:])
    weighted = [u[i] * v[j] - u[j] * v[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    used = np.concatenate(corners)
    sums = [np.bincount(used, np.tile(each, 3), len(vertices)) for each in weighted]
    return unit(np.stack(sums, axis=1))


def statistics(parts: Sequence[MeshPart]) -> dict[str, Any]:
    """Measure the parts: vertex_count, face_count, part_count, extents_m (x y z), watertight (all of them)."""
    low = np.min([part.vertices.min(axis=0) for part in parts], axis=0)
    high = np.max([part.vertices.max(axis=0) for part in parts], axis=0)
    return {
        "vertex_count": int(sum(len(part.vertices) for part in parts)),
        "face_count": int(sum(len(part.faces) for part in parts)),
        "part_count": len(parts),
        "extents_m": [round(float(v), 6) for v in high - low],
        "watertight": all(is_watertight(part.faces) for part in parts),
    }


def write_mesh(parts: Sequence[MeshPart], path: Path, unit_m: float = 1.0) -> list[Path]:
    """Write the parts in the format of the path's suffix. Returns further files that belong to it, in the same folder
    (OBJ: the .mtl and textures; glTF: the .bin and textures).

    Args:
        parts: at least one.
        path: its suffix is one of `COLOUR_IN_FORMAT`.
        unit_m: the length of one of their units in metres, for 3MF, which states it.

    Raises:
        ValueError: no parts, or an unknown suffix.
    """
    if not parts:
        raise ValueError("a mesh without parts")
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in COLOUR_IN_FORMAT:
        raise ValueError(f"{path.name}: want one of {', '.join(COLOUR_IN_FORMAT)}")
    if suffix == "obj":
        return write_obj(parts, path)
    if suffix == "gltf":
        return write_gltf(glb_bytes(parts), path)
    if suffix == "3mf":
        path.write_bytes(threemf_bytes(parts, unit_m))
    else:
        path.write_bytes({"glb": glb_bytes, "ply": ply_bytes, "stl": stl_bytes, "usdz": usdz_bytes}[suffix](parts))
    return []


# ---------------------------------------------------------------- GLB (glTF 2.0, binary)

_FLOAT, _UINT = 5126, 5125
ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_CLAMP, _REPEAT = 33071, 10497


def glb_bytes(parts: Sequence[MeshPart]) -> bytes:
    """A binary glTF 2.0 file: one node, mesh and primitive per part, equal materials shared."""
    buffer = GlbBuffer(bytearray(), [], [])
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Pocket3DStudio"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(parts)))}],
        "nodes": [],
        "meshes": [],
        "materials": [],
    }
    known: dict[Any, int] = {}
    # What lies far off is stored around the origin, and its nodes say where it is.
    offset = parts_offset(parts)
    moved = {} if offset is None else {"translation": offset.tolist()}
    for index, part in enumerate(parts):
        vertices = part.vertices if offset is None else part.vertices - offset
        attributes = {
            "POSITION": buffer.accessor(vertices.astype("<f4"), "VEC3", _FLOAT, ARRAY_BUFFER, bounds=True),
            "NORMAL": buffer.accessor(part.normals.astype("<f4"), "VEC3", _FLOAT, ARRAY_BUFFER),
        }
        if part.uv is not None:
            attributes["TEXCOORD_0"] = buffer.accessor(part.uv.astype("<f4"), "VEC2", _FLOAT, ARRAY_BUFFER)
        if part.colours is not None:
            linear = np.asarray(part.colours, dtype=np.float64) / 255
            linear[:, :3] = from_srgb(linear[:, :3])
            attributes["COLOR_0"] = buffer.accessor(linear.astype("<f4"), "VEC4", _FLOAT, ARRAY_BUFFER)
        key = part.material if part.texture is None else (part.material, id(part.texture), id(part.surface_texture))
        if key not in known:
            known[key] = len(document["materials"])
            document["materials"].append(_gltf_material(part, document, buffer))
        indices = buffer.accessor(part.faces.astype("<u4").reshape(-1), "SCALAR", _UINT, _ELEMENT_ARRAY_BUFFER)
        primitive = {"attributes": attributes, "indices": indices, "material": known[key], "mode": 4}
        document["meshes"].append({"name": part.name, "primitives": [primitive]})
        document["nodes"].append({"name": part.name, "mesh": index, **moved})
    document["bufferViews"] = buffer.views
    document["accessors"] = buffer.accessors
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    return pack(document, bytes(buffer.data))


def _gltf_material(part: MeshPart, document: dict[str, Any], buffer: GlbBuffer) -> dict[str, Any]:
    material = part.material
    surface: dict[str, Any] = {
        "baseColorFactor": [*(round(c, 9) for c in from_srgb(np.array(material.colour)).tolist()), material.alpha],
        "metallicFactor": material.metallic,
        "roughnessFactor": material.roughness,
    }
    entry: dict[str, Any] = {"name": material.name, "pbrMetallicRoughness": surface}
    if material.alpha < 1:
        entry["alphaMode"] = "BLEND"
        entry["doubleSided"] = True
    if part.texture is not None:
        surface["baseColorTexture"] = {"index": _gltf_texture(part, part.texture, material.name, document, buffer)}
    if part.surface_texture is not None:
        name = f"{material.name} roughness and metallic"
        surface["metallicRoughnessTexture"] = {
            "index": _gltf_texture(part, part.surface_texture, name, document, buffer)
        }
        surface["metallicFactor"] = surface["roughnessFactor"] = 1.0
    return entry


def _gltf_texture(
    part: MeshPart, pixels: npt.NDArray[np.uint8], name: str, document: dict[str, Any], buffer: GlbBuffer
) -> int:
    images = document.setdefault("images", [])
    images.append({"bufferView": buffer.view(png_bytes(pixels)), "mimeType": "image/png", "name": name})
    # Linear with mipmaps; clamped unless coordinates beyond its edges, by more than rounding, say that it repeats.
    repeats = part.uv is not None and ((part.uv < -EDGE) | (part.uv > 1 + EDGE)).any()
    wrap = _REPEAT if repeats else _CLAMP
    sampler = {"magFilter": 9729, "minFilter": 9987, "wrapS": wrap, "wrapT": wrap}
    samplers: list[dict[str, int]] = document.setdefault("samplers", [])
    if sampler not in samplers:
        samplers.append(sampler)
    textures: list[dict[str, int]] = document.setdefault("textures", [])
    textures.append({"source": len(images) - 1, "sampler": samplers.index(sampler)})
    return len(textures) - 1
