"""Meshes as OBJ with MTL, PLY and STL.

Text is made of tables of words and not line by line: a million faces take less than a second.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .mesh_part import MeshPart, png_bytes
from .srgb import LINEAR_BYTES, from_srgb, to_srgb
from .triangles import FloatArray, IntArray, bounds, face_normals

#: Of the picture's side: coordinates this far outside are rounding errors.
EDGE = 1e-4
#: A coordinate's size in units of the mesh's own from which single precision costs more than 1e-5 of it.
_FAR = 100.0
#: Rows that are formatted at once.
_ROWS = 65_536


def far_offset(low: FloatArray, high: FloatArray) -> FloatArray | None:
    """Where a mesh lies that is far from the origin for its size, as maps and surveys have them: single precision
    would spoil its shape. (3,), or None for any other.
    """
    size = float((high - low).max())
    if size == 0 or float(np.abs([low, high]).max()) <= _FAR * size:
        return None
    middle = (low + high) / 2
    # Whole numbers, if the mesh is not smaller than they are: people recognise them.
    offset: FloatArray = np.round(middle) if size > 1 else middle
    return offset


def parts_offset(parts: Sequence[MeshPart]) -> FloatArray | None:
    """`far_offset` of all parts together."""
    return far_offset(*bounds([part.vertices for part in parts]))


def write_obj(parts: Sequence[MeshPart], path: Path) -> list[Path]:
    """Write an OBJ file, its .mtl and its textures; returns the latter two."""
    extra: list[Path] = []
    library = path.with_suffix(".mtl")
    # Nine digits are what single precision holds, at any size.
    digits = 9 if parts_offset(parts) is None else 15
    pieces = [f"mtllib {library.name}\n".encode()]
    materials: dict[Any, str] = {}
    names: set[str] = set()
    descriptions: list[str] = []
    before = texture_before = 1
    for part in parts:
        key = part.material if part.texture is None else (part.material, id(part.texture))
        if key not in materials:
            name = _free("_".join(part.material.name.split()) or "material", names)
            materials[key] = name
            # Pm and Pr are the widely read PBR extension of MTL.
            descriptions += [
                f"newmtl {name}",
                "Kd " + " ".join(f"{c:.6f}" for c in part.material.colour),
                f"d {part.material.alpha:.3f}",
                f"Pm {part.material.metallic:.3f}",
                f"Pr {part.material.roughness:.3f}",
                "illum 2",
            ]
            if part.texture is not None:
                image = path.with_name(f"{path.stem}_texture{len(materials) - 1}.png")
                image.write_bytes(png_bytes(part.texture))
                extra.append(image)
                descriptions.append(f"map_Kd {image.name}")
        pieces.append(f"o {'_'.join(part.name.split())}\nusemtl {materials[key]}\n".encode())
        row = "v " + " ".join([f"%.{digits}g"] * 3)
        places: Any = part.vertices
        if part.colours is not None:
            # Colours after the position are not in the format's description and yet read by most.
            row += " %.4f %.4f %.4f"
            places = np.concatenate([places, np.asarray(part.colours[:, :3]) / 255], axis=1)
        pieces.append(_rows(row, places))
        pieces.append(_rows("vn %.4f %.4f %.4f", part.normals))
        if part.uv is not None:
            # OBJ counts v from the lower edge.
            pieces.append(_rows("vt %.6f %.6f", np.stack([part.uv[:, 0], 1 - part.uv[:, 1]], axis=1)))
        pieces.append(_obj_faces(part, before, texture_before))
        before += len(part.vertices)
        texture_before += 0 if part.uv is None else len(part.uv)
    path.write_bytes(b"".join(pieces))
    library.write_text("\n".join(descriptions) + "\n", encoding="utf-8")
    return [library, *extra]


def _free(name: str, names: set[str]) -> str:
    """A name that is not taken yet: equal names of different materials are numbered."""
    number = 1
    found = name
    while found in names:
        number += 1
        found = f"{name}_{number}"
    names.add(found)
    return found


def _rows(row: str, table: Any) -> bytes:
    """Numbers (N, K) as lines of a form."""
    values = np.asarray(table, dtype=np.float64)
    pieces = []
    for start in range(0, len(values), _ROWS):
        chunk = values[start : start + _ROWS]
        pieces.append(((row + "\n") * len(chunk) % tuple(chunk.reshape(-1).tolist())).encode())
    return b"".join(pieces)


def _obj_faces(part: MeshPart, before: int, texture_before: int) -> bytes:
    numbers = range(before, before + len(part.vertices))
    if part.uv is None:
        words = [b" %d//%d" % (n, n) for n in numbers]
    else:
        shift = texture_before - before
        words = [b" %d/%d/%d" % (n, n + shift, n) for n in numbers]
    # Words of one width, filled up with zero bytes, which are taken out again.
    corners = np.array(words)[part.faces if part.quads is None else part.quads]
    width = corners.dtype.itemsize * corners.shape[1]
    lines = np.zeros(len(corners), dtype=np.dtype([("f", "S1"), ("corners", f"V{width}"), ("end", "S1")]))
    lines["f"], lines["end"] = b"f", b"\n"
    lines["corners"] = np.ascontiguousarray(corners).view(f"V{width}").reshape(-1)
    return lines.tobytes().translate(None, b"\0")


def ply_bytes(parts: Sequence[MeshPart]) -> bytes:
    """A binary PLY file: one mesh, with normals, colours and, where no picture became colours, texture coordinates."""
    vertices, faces = _joined(parts)
    number = "f4" if parts_offset(parts) is None else "f8"
    fields: list[Any] = [(name, f"<{number}") for name in "xyz"]
    fields += [(name, "<f4") for name in ("nx", "ny", "nz")]
    # Where a picture became colours, its coordinates go: some readers (trimesh) would look for it and drop the colours.
    textured = any(part.uv is not None for part in parts) and all(part.texture is None for part in parts)
    if textured:
        fields += [("s", "<f4"), ("t", "<f4")]
    fields += [(name, "u1") for name in ("red", "green", "blue", "alpha")]
    rows = np.zeros(len(vertices), dtype=fields)
    for axis, name in enumerate("xyz"):
        rows[name] = vertices[:, axis]
    _fill(rows, ("nx", "ny", "nz"), [part.normals for part in parts])
    _fill(rows, ("red", "green", "blue", "alpha"), [vertex_colours(part) for part in parts])
    if textured:
        # PLY counts t from the lower edge.
        coordinates = [
            np.zeros((len(part.vertices), 2)) if part.uv is None else part.uv * (1, -1) + (0, 1) for part in parts
        ]
        _fill(rows, ("s", "t"), coordinates)
    corners = np.zeros(len(faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    corners["count"] = 3
    corners["corners"] = faces
    types = {"f4": "float", "f8": "double", "u1": "uchar"}
    header = ["ply", "format binary_little_endian 1.0", "comment Pocket3DStudio", f"element vertex {len(rows)}"]
    header += [f"property {types[kind.lstrip('<|')]} {name}" for name, kind in fields]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"]
    return "\n".join(header).encode() + rows.tobytes() + corners.tobytes()


def stl_bytes(parts: Sequence[MeshPart]) -> bytes:
    """A binary STL file: triangles without colour."""
    vertices, faces = _joined(parts)
    corners = vertices[faces]
    rows = np.zeros(len(faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("bits", "<u2")])
    rows["normal"] = face_normals(corners)
    rows["corners"] = corners
    return b"Pocket3DStudio".ljust(80, b"\0") + struct.pack("<I", len(faces)) + rows.tobytes()


def _joined(parts: Sequence[MeshPart]) -> tuple[FloatArray, IntArray]:
    vertices = np.concatenate([np.asarray(part.vertices, dtype=np.float64) for part in parts])
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)])
    return vertices, faces


def _fill(rows: npt.NDArray[Any], names: tuple[str, ...], tables: list[Any]) -> None:
    joined = np.concatenate(tables)
    for column, name in enumerate(names):
        rows[name] = joined[:, column]


def vertex_colours(part: MeshPart) -> npt.NDArray[np.uint8]:
    """(V, 4) uint8 sRGB: what the vertices' own colours, the texture there and the material's colour show together."""
    flat = np.array([*(round(c * 255) for c in part.material.colour), round(part.material.alpha * 255)], dtype=np.uint8)
    stated = [] if part.colours is None else [part.colours]
    if part.texture is not None and part.uv is not None:
        texels = texels_at(part.texture, part.uv)
        stated.append(np.concatenate([texels, np.full((len(texels), 1), 255, dtype=np.uint8)], axis=1))
    if not stated:
        return np.tile(flat, (len(part.vertices), 1))
    if len(stated) == 1 and (flat == 255).all():
        return stated[0]
    # As glTF has it, in linear light.
    light = np.append(from_srgb(np.array(part.material.colour)), part.material.alpha)
    for colours in stated:
        light = light * np.concatenate([LINEAR_BYTES[colours[:, :3]], colours[:, 3:] / 255], axis=1)
    shown = np.concatenate([to_srgb(light[:, :3]), light[:, 3:]], axis=1)
    found: npt.NDArray[np.uint8] = (shown * 255 + 0.5).astype(np.uint8)
    return found


def texels_at(texture: npt.NDArray[np.uint8], uv: FloatArray) -> npt.NDArray[np.uint8]:
    """(N, 3) of a (H, W, 3) texture at (N, 2), origin upper left, nearest, repeated beyond its edges."""
    height, width, _ = texture.shape
    outside = (uv < -EDGE) | (uv > 1 + EDGE)
    inside = np.where(outside, uv % 1.0, uv)
    column = np.clip((inside[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip((inside[:, 1] * height).astype(int), 0, height - 1)
    texels: npt.NDArray[np.uint8] = texture[row, column]
    return texels
