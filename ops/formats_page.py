"""Writes docs/formats.md, what a conversion keeps of each format: `python ops/formats_page.py`.

Each row is a small file of one format with one thing in it. It is converted to every format that is written, and what
the answer says decides the cell. A test compares the page with what this would write.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pocket3d.adapters.mesh.input import FORMATS, ignored_parts, read_scene
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.losses import missing, unread
from pocket3d.adapters.mesh.read.glb_container import GlbBuffer, pack
from pocket3d.adapters.mesh.write import COLOUR_IN_FORMAT
from pocket3d.adapters.weight_free.conversion.convert import copy_file, write

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"

_HEAD = """# Formats of meshes

What `mesh_conversion` keeps, by the format that comes in (each section), the thing that is in it (each row) and the
format that is written (each column). `+` means kept. Where something is missing (`-`), the answer says so under `lost`
(it was read, and is not in the file) or `ignored` (it is not read), in every feature that takes a mesh; `pocket3d
result` and the page show both.

From GLB to GLB a file is copied: what we do not read is in the copy, byte for byte. Part completion closes parts in the
document that they came in, in the same way. (This page is written by `python ops/formats_page.py`.)
"""

_FLOAT, _BYTE, _UINT = 5126, 5121, 5125
_CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype="<f4")
_FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], dtype="<u4")
_UV = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype="<f4")


class _Glb:
    """A tetrahedron as GLB, to which one thing is added."""

    def __init__(self) -> None:
        self.buffer = GlbBuffer(bytearray(), [], [])
        self.attributes = {"POSITION": self.buffer.accessor(_CORNERS, "VEC3", _FLOAT, bounds=True)}
        indices = self.buffer.accessor(_FACES.reshape(-1), "SCALAR", _UINT)
        self.primitive: dict[str, Any] = {"attributes": self.attributes, "indices": indices}
        self.node: dict[str, Any] = {"name": "body", "mesh": 0}
        self.surface: dict[str, Any] = {}
        self.material: dict[str, Any] = {"name": "paint", "pbrMetallicRoughness": self.surface}
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [self.node],
            "meshes": [{"name": "body", "primitives": [self.primitive]}],
        }

    def floats(self, rows: Any) -> int:
        values = np.asarray(rows, dtype="<f4")
        return self.buffer.accessor(values, f"VEC{values.shape[1]}", _FLOAT, bounds=True)

    def dressed(self) -> _Glb:
        self.primitive["material"] = 0
        self.document["materials"] = [self.material]
        return self

    def textured(self, form: str = "PNG") -> _Glb:
        picture = io.BytesIO()
        Image.new("RGB", (2, 2), (200, 10, 10)).save(picture, format=form)
        view = self.buffer.view(picture.getvalue())
        self.document["images"] = [{"bufferView": view, "mimeType": f"image/{form.lower()}"}]
        self.document["textures"] = [{"source": 0}]
        self.attributes["TEXCOORD_0"] = self.floats(_UV)
        self.surface["baseColorTexture"] = {"index": 0}
        return self.dressed()

    def extended(self, name: str, **values: Any) -> _Glb:
        self.material["extensions"] = {name: values}
        self.document["extensionsUsed"] = [name]
        return self.dressed()

    def data(self) -> bytes:
        data, views, accessors = self.buffer
        self.document |= {"bufferViews": views, "accessors": accessors, "buffers": [{"byteLength": len(data)}]}
        return pack(self.document, bytes(data))


def _glb(change: Callable[[_Glb], Any]) -> bytes:
    body = _Glb()
    change(body)
    return body.data()


def _two_places(body: _Glb) -> None:
    body.document["nodes"].append({"name": "again", "mesh": 0, "translation": [3, 0, 0]})
    body.document["scenes"][0]["nodes"] = [0, 1]


def _group(body: _Glb) -> None:
    body.document["nodes"].append({"name": "group", "children": [0], "translation": [0, 1, 0]})
    body.document["scenes"][0]["nodes"] = [1]


def _joints(body: _Glb) -> None:
    zeros = np.zeros((4, 4), dtype="u1")
    body.attributes["JOINTS_0"] = body.buffer.accessor(zeros, "VEC4", _BYTE)
    body.attributes["WEIGHTS_0"] = body.floats(np.eye(1, 4).repeat(4, axis=0))
    body.node["skin"] = 0
    body.document["nodes"].append({"name": "hip"})
    body.document["scenes"][0]["nodes"] = [0, 1]
    body.document["skins"] = [{"joints": [1]}]


def _moving(body: _Glb) -> None:
    times = body.buffer.accessor(np.array([[0.0], [1.0]], dtype="<f4"), "SCALAR", _FLOAT, bounds=True)
    places = body.floats([[0, 0, 0], [0, 1, 0]])
    channel = {"sampler": 0, "target": {"node": 0, "path": "translation"}}
    body.document["animations"] = [{"channels": [channel], "samplers": [{"input": times, "output": places}]}]


def _lamp(body: _Glb) -> None:
    body.document["extensions"] = {"KHR_lights_punctual": {"lights": [{"type": "point"}]}}
    body.document["extensionsUsed"] = ["KHR_lights_punctual"]
    body.document["nodes"].append({"name": "lamp", "extensions": {"KHR_lights_punctual": {"light": 0}}})
    body.document["scenes"][0]["nodes"] = [0, 1]


def _copies(body: _Glb) -> None:
    places = body.floats([[0, 0, 0], [3, 0, 0], [6, 0, 0]])
    body.node["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": places}}}
    body.document["extensionsUsed"] = ["EXT_mesh_gpu_instancing"]


def _variants(body: _Glb) -> None:
    body.dressed()
    body.document["extensions"] = {"KHR_materials_variants": {"variants": [{"name": "red"}]}}
    body.document["extensionsUsed"] = ["KHR_materials_variants"]
    mapping = {"mappings": [{"material": 0, "variants": [0]}]}
    body.primitive["extensions"] = {"KHR_materials_variants": mapping}


def _put(owner: dict[str, Any], **values: Any) -> None:
    owner.update(values)


_FROM_GLB: dict[str, Callable[[_Glb], Any]] = {
    "several objects with names": _two_places,
    "nodes that group others": _group,
    "copies by EXT_mesh_gpu_instancing": _copies,
    "normals": lambda b: _put(b.attributes, NORMAL=b.floats([[0, 0, 1]] * 4)),
    "texture coordinates": lambda b: _put(b.attributes, TEXCOORD_0=b.floats(_UV)),
    "further texture coordinates": lambda b: _put(
        b.attributes, TEXCOORD_0=b.floats(_UV), TEXCOORD_1=b.floats(_UV), TEXCOORD_2=b.floats(_UV)
    ),
    "colours at vertices": lambda b: _put(b.attributes, COLOR_0=b.floats([[1, 0, 0]] * 4)),
    "base colour": lambda b: _put(b.dressed().surface, baseColorFactor=[0.5, 0.1, 0.1, 1], metallicFactor=0),
    "metallic and roughness": lambda b: _put(b.dressed().surface, metallicFactor=1.0, roughnessFactor=0.1),
    "base colour texture": lambda b: b.textured(),
    "JPEG texture (a GLB keeps its bytes)": lambda b: b.textured("JPEG"),
    "texture wrap and filter": lambda b: _put(
        b.textured().document, samplers=[{"wrapS": 33071, "magFilter": 9728}], textures=[{"source": 0, "sampler": 0}]
    ),
    "texture transform": lambda b: _put(
        b.textured().surface["baseColorTexture"], extensions={"KHR_texture_transform": {"scale": [4, 4]}}
    ),
    "map of normals": lambda b: _put(b.textured().material, normalTexture={"index": 0}),
    "light of its own": lambda b: _put(b.dressed().material, emissiveFactor=[1, 0, 0]),
    "cut-out transparency": lambda b: _put(b.dressed().material, alphaMode="MASK"),
    "visible backs": lambda b: _put(b.dressed().material, doubleSided=True),
    "KHR_materials_transmission and the like": lambda b: b.extended("KHR_materials_transmission", transmissionFactor=1),
    "KHR_materials_unlit": lambda b: b.extended("KHR_materials_unlit"),
    "variants of materials": _variants,
    "skins": _joints,
    "morph targets": lambda b: _put(b.primitive, targets=[{"POSITION": b.floats(_CORNERS)}]),
    "animations": _moving,
    "lights": _lamp,
    "extras": lambda b: _put(b.node, extras={"note": 1}),
}

_OBJ_FACES = "f 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
_OBJ_PLACES = "".join(f"v {x:g} {y:g} {z:g}\n" for x, y, z in _CORNERS.tolist())
_PLY_HEAD = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n{}"
_PLY_HEAD += "element face 4\nproperty list uchar int vertex_indices\nend_header\n{}"
_PLAIN_FACES = "".join("3 " + " ".join(map(str, face)) + "\n" for face in _FACES.tolist())


def _ply(properties: str, values: str) -> bytes:
    rows = "".join(f"{x:g} {y:g} {z:g} {values}\n" for x, y, z in _CORNERS.tolist())
    return _PLY_HEAD.format(properties, rows + _PLAIN_FACES).encode()


def _stl() -> bytes:
    corners = "".join(
        "facet normal 0 0 0\nouter loop\n"
        + "".join(f"vertex {x:g} {y:g} {z:g}\n" for x, y, z in _CORNERS[face].tolist())
        + "endloop\nendfacet\n"
        for face in _FACES
    )
    return f"solid body\n{corners}endsolid body\n".encode()


def _off(values: str, kind: str) -> bytes:
    rows = "".join(f"{x:g} {y:g} {z:g} {values}\n" for x, y, z in _CORNERS.tolist())
    return f"{kind}\n4 4 0\n{rows}{_PLAIN_FACES}".encode()


_COLOURS = "property uchar red\nproperty uchar green\nproperty uchar blue\n"
_TWICE = _OBJ_PLACES + "o left\n" + _OBJ_FACES + "o right\n" + _OBJ_FACES

#: For each format that is read: the thing, and a file that has it.
SAMPLES: dict[str, dict[str, bytes]] = {
    "glb": {thing: _glb(change) for thing, change in _FROM_GLB.items()},
    "obj": {
        "several objects with names": _TWICE.encode(),
        "texture coordinates": (_OBJ_PLACES + "vt 0 0\nf 1/1 3/1 2/1\nf 1/1 2/1 4/1\n" + _OBJ_FACES).encode(),
        "colours at vertices": (_OBJ_PLACES.replace("\n", " 1 0 0\n") + _OBJ_FACES).encode(),
        "materials (a .mtl file)": (f"mtllib a.mtl\n{_OBJ_PLACES}usemtl skin\n{_OBJ_FACES}").encode(),
    },
    "ply": {
        "colours at vertices": _ply(_COLOURS, "255 0 0"),
        "texture coordinates": _ply("property float s\nproperty float t\n", "0 1"),
    },
    "stl": {"triangles": _stl()},
    "off": {"triangles": _off("", "OFF"), "colours at vertices": _off("255 0 0 255", "COFF")},
}


def converted(data: bytes, source: str, target: str, folder: Path) -> list[str]:
    """Convert a file from one format to another, as the adapter does; returns what it says of what is missing."""
    path, made = folder / f"source.{source}", folder / f"made.{target}"
    path.write_bytes(data)
    scene = read_scene(path)
    before, notes = inventory(path, scene), ignored_parts(scene)
    if not (target == "glb" and copy_file(path, made, np.eye(4))):
        write(scene, made)
    after = inventory(made)
    return [*missing(before, after), *unread(before, after, notes)]


def page() -> str:
    """The text of the page. Raises KeyError if a format that is read has no samples."""
    return "\n".join([_HEAD, *map(_section, FORMATS)])


def _section(source: str) -> str:
    targets = list(COLOUR_IN_FORMAT)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for thing, data in SAMPLES[source].items():
            told = {target: converted(data, source, target, Path(folder)) for target in targets}
            cells = ["-" if told[target] else "+" for target in targets]
            texts = "; ".join(dict.fromkeys(text for target in targets for text in told[target]))
            rows.append(f"| {thing} | {' | '.join(cells)} | {texts} |")
    head = (
        f"| in it | {' | '.join(each.upper() for each in targets)} | what the answer says of `-` |"
    )
    return "\n".join([f"## From {source.upper()}", "", head, "|---" * (len(targets) + 2) + "|", *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
