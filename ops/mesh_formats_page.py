"""Writes docs/mesh-formats.md, what each format keeps by real conversions: `python ops/mesh_formats_page.py`.

One mesh with everything is converted to each format, and in each format that can be read back to GLB. What is kept is
found in the written files, what is lost is what the results say. A test compares the page with what this would write.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.mesh.input import glb_bytes_of, read_scene
from pocket3d.adapters.mesh.parts import is_linear, look_of, other_maps, parts_of
from pocket3d.adapters.mesh.read.glb_container import pack, unpack
from pocket3d.adapters.mesh.triangles import unit
from pocket3d.adapters.mesh.usdz_again import read_usdz
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter

PAGE = Path(__file__).parents[1] / "docs" / "mesh-formats.md"
NAMES = {
    "glb": "GLB",
    "gltf": "glTF with its files",
    "usdz": "USDZ",
    "obj": "OBJ with its files",
    "3mf": "3MF",
    "ply": "PLY",
    "stl": "STL",
}
#: What is not read, however it was made.
_WRITTEN_ONLY = ("usdz",)

_HEAD = """# What each format keeps

`mesh_conversion` reads and writes these formats, and every feature that takes or makes a mesh uses the same code. The
tables are made by converting one GLB file that has everything: three parts below a node that turns them, a plain
material, one with a picture that is mirrored at its edges and maps of roughness and metal, colours at vertices, an
extension of materials, a second set of coordinates, normals that its faces do not have, a light, a camera and an
animation. What is kept is found in the written files; what is lost is what the result says under `lost` and `ignored`.
(This page is written by `python ops/mesh_formats_page.py`.)
"""
_FIRST = "\n## From GLB\n\n| to | kept | lost, in the result's words |\n|---|---|---|\n"
_SECOND = """
## To GLB

Each of the files above but USDZ, which is written only, read again and converted to GLB. OBJ and glTF come as zips with
their files: an OBJ by itself has no colours but those of its vertices.

| from | kept of what it had | lost, in the result's words |
|---|---|---|
"""
_TAIL = """
From GLB to GLB the file's document is copied: what is not read here, from extensions to the bytes of pictures, stays as
it is, and a node above the others places it. Compressed geometry (meshoptimizer, quantised, and Draco where DracoPy is
installed) is unpacked, normals of another length than 1 are put right. The file is taken apart and written anew only
where parts of it lie in other files. In every feature `lost` (it was read, and is not in the file) and `ignored` (it is
not read) are found by comparing what the written file has with what came in.

## Features that change a GLB file

They keep the document that they get, too, and change in it what they are for. A file that shows copies by
EXT_mesh_gpu_instancing is taken apart by those that make vertices anew or bind them.

- part_completion adds faces; they have what the vertices of their rim have, joints and morph targets too.
- text_to_texture and image_to_texture replace the base colour, its transparency and colours at vertices, the former
  metal and roughness as well. Vertices are copies of the old ones with all that those have. Maps of normals, occlusion
  and light, and those of extensions, stay where they lay: the old coordinates become a further set, or stay in place
  with `keep_uv`. A light that shows the picture of the old base colour goes.
- uv_unwrapping does the same with coordinates and moves the picture of the base colour to them, with alpha where the
  material shows it; metal, roughness and factors stay.
- mesh_conversion with `merge_vertices` makes one of vertices that are equal in all that is stored.
- mesh_simplification and mesh_retopology make new vertices, for which joints and morph targets are looked up at the
  nearest place of the old surface. With `keep_texture` the picture keeps its bytes, and so do maps that lie by the same
  coordinates; without them maps go, and extensions that have some. Factors, notes and other extensions stay.
- auto_rig binds every mesh to the new skeleton. An old skin goes with its joints and what moved them, and so does what
  moved nodes that place bound meshes alone: `lost` names each. Morph targets, cameras, lights and what moves those
  stay.

## Units and axes

glTF, FBX, COLLADA and USDZ are in metres, or say what their unit is; 3MF says it too, and OBJ, PLY, STL and OFF say
nothing. Lengths stay what they are where both sides say it: 3MF in millimetres becomes GLB in metres, GLB becomes 3MF
in metres. Numbers without a unit stay as they are; a 3MF of them says millimetres, as printers mean them. +Y is up in
GLB, USDZ and in what FBX and COLLADA become; 3MF and STL for printers want `output_up=z`.

## What is not written

FBX: no package on PyPI writes it well. assimp's exporter, tried with the file of this page, calls metres centimetres,
and of three parts assimp itself reads two again. Autodesk's SDK may not be passed on, and Blender (`bpy`) is a program
of some hundred megabytes for one version of Python. Most programs that read FBX read GLB.

## What else is read

- glTF: a `.gltf` with all at data addresses, or a zip of a `.gltf` and its files; mesh_conversion also takes the files
  one by one, as `mesh_file_paths`. Names are looked up among these and nowhere else.
- VRM: as the GLB that it is.
- compressed glTF: quantised (KHR_mesh_quantization) and meshopt (EXT_meshopt_compression): by code of our own, since
  meshoptimizer is on PyPI without wheels; Draco: by [DracoPy](https://pypi.org/project/DracoPy/) (Apache-2.0)
  in a process of its own; pictures in KTX2 by [opengl-basisu](https://pypi.org/project/opengl-basisu/) (Binomial's
  transcoder; an alpha, and yet the one package with wheels for all Pythons that needs no library of the system) in a
  process of its own. Without it they are named. From GLB to GLB they stay as they are.
- OBJ: objects as parts (groups, where there are none), names of materials, colours behind the places; by itself or as
  a zip with its `.mtl` and pictures; any text encoding, any line end.
- PLY: text and binary, polygons and triangle strips, numbers in double precision, colours of vertices and faces,
  coordinates at vertices and at the corners of faces.
- STL: text and binary, colours of Magics and VisCAM, solids as parts; a count that is too small and bytes behind the
  triangles are named.
- OFF: colours of vertices and faces, normals.
- 3MF: objects, their places, names and base materials, of the core specification; colours at corners, of the materials
  extension.
- FBX (2011 and later, binary and text), COLLADA (`.dae`) and 3DS: by assimp, in a process of its own that can open no
  file and has bounds on memory and time; what it makes is read as any GLB. Names, the tree of nodes, colours and
  transparency of materials, pictures inside or in the same zip (TGA and others as PNG), normals, coordinates and
  colours of vertices come through; shininess becomes roughness. FBX and COLLADA say what their unit is: the mesh is in
  metres, +Y up. 3DS says neither and stays as it is. Animations, skins, morph targets, lights and cameras are named in
  `ignored`.
- zip: one mesh of any of these.
- pictures: PNG, JPEG (`.jfif` too), WebP, TIFF, BMP, GIF; AVIF with Pillow 11.3 or later; HEIC with
  [pillow-heif](https://pypi.org/project/pillow-heif/).

In a checkout `pip install '.[formats]'` brings DracoPy, pillow-heif, cmeel-assimp and opengl-basisu. A file under a
wrong suffix is read as what it is, and `ignored` says so. Point clouds, 3D Gaussians, CAD files and others are refused
by what they are, with what to do. What lies far from the origin for its size (maps, surveys) keeps its shape: the node
of a GLB says where it is, PLY is written in doubles, OBJ with more digits; for STL `lost` says that precision goes.
"""


def page() -> str:
    """The page's text."""
    adapter = TrimeshMeshConversionAdapter()
    asyncio.run(adapter.load())
    first, second = [], []
    with tempfile.TemporaryDirectory() as folder:
        source = _sample(Path(folder) / "all.glb")
        had = _kept(source)
        for target, name in NAMES.items():
            written, lost = _convert(adapter, source, target, Path(folder) / target)
            kept = _kept(written)
            first.append(f"| {name} | {', '.join(each for each in had if each in kept)} | {lost} |")
            if target != "glb" and target not in _WRITTEN_ONLY:
                again, lost = _convert(adapter, written, "glb", Path(folder) / f"{target} again")
                found = _kept(again)
                second.append(f"| {name} | {', '.join(each for each in kept if each in found)} | {lost} |")
    return _HEAD + _FIRST + "\n".join(first) + "\n" + _SECOND + "\n".join(second) + "\n" + _TAIL


def _convert(adapter: TrimeshMeshConversionAdapter, source: Path, target: str, folder: Path) -> tuple[Path, str]:
    folder.mkdir()
    token = current_run.set(RunContext(output_dir=folder))
    try:
        answer = asyncio.run(adapter.process({"mesh_path": str(source), "output_format": target}))
    finally:
        current_run.reset(token)
    info = answer["generation_info"]
    told = [re.sub(r"\s+", " ", each) for each in (*info["lost"], *info["ignored"])]
    written = Path(answer["output_mesh_path"])
    further = [Path(each) for each in answer.get("extra_paths", ())]
    if further:
        together = written.with_suffix(".zip")
        with zipfile.ZipFile(together, "w") as archive:
            for each in (written, *further):
                archive.write(each, each.name)
        written = together
    return written, "<br>".join(told) or "nothing"


def _kept(path: Path) -> list[str]:
    """What a file has of the sample."""
    scene = read_usdz(path) if path.suffix == ".usdz" else read_scene(path)
    # Before anything asks trimesh for normals.
    parts = parts_of(scene)
    meshes = list(scene.geometry.values())
    looks = [look_of(mesh, linear=is_linear(scene)) for mesh in meshes]
    data = path.read_bytes() if path.suffix == ".usdz" else glb_bytes_of(path)
    raw: dict[str, Any] = unpack(data)[0] if data[:4] == b"glTF" else {}
    found = {
        "triangles": sum(len(mesh.faces) for mesh in meshes) == _FACES,
        "normals": any(np.abs(part.normals - vertex_normals(part.vertices, part.faces)).max() > 0.1 for part in parts),
        "parts and their names": {"box", "ball", "cone"} <= set(scene.graph.nodes_geometry) | set(scene.geometry),
        "colours of materials": any(
            look.stated and look.image is None and look.colour[0] > 4 * look.colour[1] for look in looks
        ),
        "roughness and metal": any(look.metallic for look in looks),
        "pictures": any(look.image is not None for look in looks),
        "coordinates of pictures": any(look.uv is not None for look in looks),
        "further maps": other_maps(scene) > 0,
        "colours of vertices": any(look.vertex_colours is not None for look in looks),
        "the tree of nodes": any("children" in node for node in raw.get("nodes", ())),
        "how pictures repeat": any(each.get("wrapS") == 33648 for each in raw.get("samplers", ())),
        "extensions of materials": any("extensions" in each for each in raw.get("materials", ())),
        "the second coordinates": any(
            "TEXCOORD_1" in each["attributes"] for mesh in raw.get("meshes", ()) for each in mesh["primitives"]
        ),
        "lights, cameras, animations": bool(raw.get("extensions") and raw.get("cameras") and raw.get("animations")),
    }
    return [name for name, there in found.items() if there]


_FACES = 12 + 80 + 64


def _sample(path: Path) -> Path:
    box, ball = trimesh.creation.box([2, 4, 1]), trimesh.creation.icosphere(subdivisions=1, radius=0.5)
    cone = trimesh.creation.cone(1, 2, sections=32)
    ball.apply_translation([3, 0, 0])
    cone.apply_translation([6, 0, 0])
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    picture[::2] = (200, 60, 20)
    uv = np.stack([ball.vertices[:, 0] - 2.5, ball.vertices[:, 1] + 0.5], axis=1)
    colours = np.tile(np.array([[40, 120, 220, 255], [220, 120, 40, 255]], dtype=np.uint8), (4, 1))
    parts = [
        MeshPart(
            "box",
            box.vertices,
            box.faces,
            unit(vertex_normals(box.vertices, box.faces) + np.array([0.5, 0, 0])),
            Material("steel", (0.5, 0.5, 0.6), metallic=0.9, roughness=0.3),
            colours=colours,
        ),
        MeshPart(
            "ball",
            ball.vertices,
            ball.faces,
            vertex_normals(ball.vertices, ball.faces),
            Material("painted", (1.0, 1.0, 1.0)),
            uv=uv,
            texture=picture,
            surface_texture=picture,
        ),
        MeshPart(
            "cone",
            cone.vertices,
            cone.faces,
            vertex_normals(cone.vertices, cone.faces),
            Material("red", (0.8, 0.1, 0.1), metallic=0.4),
        ),
    ]
    write_mesh(parts, path)
    raw, binary = unpack(path.read_bytes())
    raw["nodes"].append({"name": "turned", "children": [0, 1, 2], "rotation": [0, 1, 0, 0]})
    raw["nodes"].append({"name": "lamp", "camera": 0, "extensions": {"KHR_lights_punctual": {"light": 0}}})
    raw["scenes"] = [{"nodes": [3, 4]}]
    raw["samplers"] = [{"wrapS": 33648, "wrapT": 33648}]
    raw["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}]
    raw["extensions"] = {"KHR_lights_punctual": {"lights": [{"type": "point"}]}}
    raw["materials"][0]["extensions"] = {"KHR_materials_clearcoat": {"clearcoatFactor": 1}}
    raw["extensionsUsed"] = ["KHR_lights_punctual", "KHR_materials_clearcoat"]
    attributes = raw["meshes"][1]["primitives"][0]["attributes"]
    attributes["TEXCOORD_1"] = attributes["TEXCOORD_0"]
    times, turns = np.array([0, 1], dtype="<f4"), np.array([[0, 1, 0, 0], [1, 0, 0, 0]], dtype="<f4")
    for rows, kind in ((times, "SCALAR"), (turns, "VEC4")):
        view = {"buffer": 0, "byteOffset": len(binary), "byteLength": rows.nbytes}
        raw["bufferViews"].append(view)
        accessor = {"bufferView": len(raw["bufferViews"]) - 1, "componentType": 5126, "count": 2, "type": kind}
        raw["accessors"].append(accessor | ({"min": [0], "max": [1]} if kind == "SCALAR" else {}))
        binary += rows.tobytes()
    raw["buffers"][0]["byteLength"] = len(binary)
    last = len(raw["accessors"])
    raw["animations"] = [
        {
            "samplers": [{"input": last - 2, "output": last - 1}],
            "channels": [{"sampler": 0, "target": {"node": 3, "path": "rotation"}}],
        }
    ]
    path.write_bytes(pack(raw, binary))
    return path


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")  # noqa: T201
