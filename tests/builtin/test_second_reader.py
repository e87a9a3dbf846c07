"""A reader of another project, PyMeshLab, finds in written files what was meant: place, counts, colours, pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")
pytest.importorskip("torch")
pymeshlab: Any = pytest.importorskip("pymeshlab")

from pocket3d.adapters.mesh.glb_copy import placed_copy
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.parts import is_linear, look_of, parts_of
from pocket3d.adapters.mesh.plain_files import vertex_colours
from pocket3d.adapters.mesh.srgb import LINEAR_BYTES, from_srgb
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from pocket3d.adapters.weight_free.conversion.convert import write
from support import mesh_files as files
from support.kinds_of_files import KINDS
from support.tetrahedron import Tetrahedron

pytestmark = pytest.mark.torch

FORMATS = ("glb", "obj", "ply", "stl")
#: What its importer of GLB does otherwise than glTF says, by input: what is not compared, and why.
KNOWN = {
    "gpu_instancing.glb": ({"counts", "place"}, "it does not know EXT_mesh_gpu_instancing"),
    "copies": ({"counts", "place"}, "it does not know EXT_mesh_gpu_instancing"),
    "skin_armature_turned.glb": ({"node"}, "it places a skinned mesh by its own node, which glTF ignores"),
    "texture_transform.glb": ({"coordinates"}, "it does not know KHR_texture_transform"),
}


class Seen(NamedTuple):
    """What a reader finds in a file."""

    faces: int
    vertices: int
    #: (2, 3) least and largest corner.
    box: Any
    #: (N, 3) different colours, bytes as the format stores them; None where nothing is stated.
    colours: Any
    #: (2,) mean over the corners of all triangles, from the lower left; None without.
    coordinates: Any
    #: Sizes of pictures.
    pictures: list[tuple[int, int]]


def theirs(path: Path, left_out: set[str]) -> Seen:
    opened = pymeshlab.MeshSet()
    opened.load_new_mesh(str(path))
    meshes = [opened.mesh(number) for number in range(opened.mesh_number())]
    places, colours, coordinates, pictures = [], [], [], []
    for mesh in meshes:
        # Its own bounding box leaves out where a node stands.
        node = np.eye(4) if "node" in left_out else mesh.transform_matrix()
        places.append(mesh.vertex_matrix() @ node[:3, :3].T + node[:3, 3])
        if mesh.has_vertex_color():
            colours.append(mesh.vertex_color_matrix())
        elif path.suffix == ".obj":
            colours.append(mesh.face_color_matrix())
        if mesh.has_wedge_tex_coord():
            coordinates.append(mesh.wedge_tex_coord_matrix())
        elif mesh.has_vertex_tex_coord():
            coordinates.append(mesh.vertex_tex_coord_matrix()[mesh.face_matrix().reshape(-1)])
        pictures += (
            [(each.width(), each.height()) for each in mesh.textures().values()] if mesh.texture_number() else []
        )
    joined = np.concatenate(places)
    return Seen(
        sum(mesh.face_number() for mesh in meshes),
        sum(mesh.vertex_number() for mesh in meshes),
        np.array([joined.min(axis=0), joined.max(axis=0)]),
        np.unique((np.concatenate(colours)[:, :3] * 255).round(), axis=0) if colours else None,
        np.concatenate(coordinates).mean(axis=0) if coordinates else None,
        sorted(pictures),
    )


def meant(scene: Any, form: str, copied: bool) -> Seen:
    parts = parts_of(scene)
    looks = [
        look_of(scene.geometry[scene.graph[node][1]], linear=is_linear(scene)) for node in scene.graph.nodes_geometry
    ]
    joined = np.concatenate([part.vertices for part in parts])
    colours = [stored_colours(part, form) for part, look in zip(parts, looks, strict=True) if look.stated or not copied]
    rows = [each for each in colours if each is not None]
    corners = [part.uv[part.faces.reshape(-1)] for part in parts if part.uv is not None]
    pictured = [part.texture for part in parts if part.texture is not None]
    mapped = corners and form != "stl" and not (pictured and form == "ply")
    return Seen(
        sum(len(part.faces) for part in parts),
        len(np.unique(joined.astype(np.float32), axis=0)) if form == "stl" else len(joined),
        np.array([joined.min(axis=0), joined.max(axis=0)]),
        np.unique(np.concatenate(rows), axis=0) if rows else None,
        np.concatenate(corners).mean(axis=0) * (1, -1) + (0, 1) if mapped else None,
        sorted({id(each): (each.shape[1], each.shape[0]) for each in pictured}.values())
        if form in ("glb", "obj")
        else [],
    )


def stored_colours(part: MeshPart, form: str) -> Any:
    """(N, 3) what it reads for a part: of GLB and OBJ the vertices' or the material's, without the picture."""
    if form == "stl" or (form == "glb" and part.texture is not None and part.colours is None):
        return None
    if form == "ply":
        return vertex_colours(part)[:, :3].astype(float)
    if form == "obj":
        return np.array([part.material.colour]) * 255 if part.colours is None else part.colours[:, :3].astype(float)
    light = from_srgb(np.array([part.material.colour])) if part.colours is None else LINEAR_BYTES[part.colours[:, :3]]
    return light * 255


# ---------------------------------------------------------------- inputs of our own making

PEAK = [[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 1, 1]]
UV = [[0.1, 0.2], [0.9, 0.2], [0.1, 0.7], [2.6, 0.9]]


def nested(folder: Path) -> Path:
    """Nodes that turn, mirror, scale and move what hangs below them."""
    body = Tetrahedron()
    body.primitive["attributes"]["COLOR_0"] = body.add(np.array(PEAK) * 255, "VEC4", 5121, "u1", normalized=True)
    turn = [0.0, 0.0, 0.38268343, 0.92387953]
    body.document["nodes"] = [
        {"name": "top", "rotation": turn, "translation": [5, 0, -2], "children": [1, 2]},
        {"name": "one", "mesh": 0, "scale": [2, 3, 0.5]},
        {"name": "mirrored", "mesh": 0, "scale": [-1, 1, 1], "translation": [0, 0, 4]},
    ]
    return body.write(folder / "nested.glb")


def copies(folder: Path) -> Path:
    body = Tetrahedron()
    places = {"TRANSLATION": body.add([[0.0, 0, 0], [0, 4, 0]], "VEC3")}
    body.document["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": places}}
    body.document["extensionsUsed"] = ["EXT_mesh_gpu_instancing"]
    return body.write(folder / "copies.glb")


def painted(folder: Path) -> Path:
    """Two parts with pictures of different sizes, one with coordinates beyond its edges."""
    vertices, faces = np.array(files.VERTICES), np.array(files.FACES)
    parts = []
    for number, size in enumerate((4, 8)):
        picture = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
        moved = vertices + np.array([3 * number, 0, 0])
        material = Material(f"paint {number}", (1.0, 1.0, 1.0))
        normals = vertex_normals(moved, faces)
        parts.append(MeshPart(f"part {number}", moved, faces, normals, material, np.array(UV), picture))
    write_mesh(parts, folder / "painted.glb")
    return folder / "painted.glb"


def tinted(folder: Path) -> Path:
    """Colours at the vertices beside the colour of the material, one part see-through."""
    body = Tetrahedron()
    body.primitive["attributes"]["COLOR_0"] = body.add(PEAK, "VEC4")
    surface = {"baseColorFactor": [1, 1, 1, 0.5]}
    body.document["materials"] = [{"alphaMode": "BLEND", "pbrMetallicRoughness": surface}]
    body.primitive["material"] = 0
    return body.write(folder / "tinted.glb")


def lines_of(scale: Any, origin: Any, colours: bool = False, first: int = 1) -> list[str]:
    rows = np.array(files.VERTICES) * scale + origin
    if colours:
        rows = np.concatenate([rows, np.eye(4, 3)], axis=1)
    lines = ["v " + " ".join(f"{number:.12g}" for number in row) for row in rows]
    return lines + ["f " + " ".join(str(corner + first) for corner in face) for face in files.FACES]


def text(name: str, *lines: list[str]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text("\n".join(line for each in lines for line in each))
        return folder / name

    return make


OWN: dict[str, Callable[[Path], Path]] = {
    "nested": nested,
    "copies": copies,
    "painted": painted,
    "tinted": tinted,
    "coloured": text("a.obj", ["o left"], lines_of(1, 0, True), ["o right"], lines_of(2, (5, 0, 0), True, first=5)),
    "far": text("a.obj", lines_of((0.7, 1.3, 2.1), (450_001.3, 4_800_002.7, 35.1))),
    "tiny": text("a.obj", lines_of(3e-7, 0)),
    "huge": text("a.obj", lines_of(2e5, (1e6, 0, 0))),
}


@pytest.mark.parametrize("name", [*(name for name in KINDS if not name.endswith(".png")), *OWN])
def test_a_second_reader_agrees(name: str, tmp_path: Path) -> None:
    source = OWN[name](tmp_path) if name in OWN else files.case(name)
    scene = read_scene(source)
    for form in FORMATS:
        target = tmp_path / f"out.{form}"
        wanted = meant(scene, form, copied=source.suffix == target.suffix == ".glb")
        copy = placed_copy(source.read_bytes(), np.eye(4)) if form == "glb" else None
        if copy is None:
            write(scene, target)
        else:
            target.write_bytes(copy)
        left_out = KNOWN[name][0] if name in KNOWN and form == "glb" else set()
        agree(wanted, theirs(target, left_out), form, left_out)


def agree(ours: Seen, found: Seen, form: str, left_out: set[str]) -> None:
    if "counts" not in left_out:
        assert (found.faces, found.vertices) == (ours.faces, ours.vertices), form
    if "place" not in left_out:
        # Single precision rounds far places in STL.
        near = 1e-5 * np.ptp(ours.box, axis=0).max() + (2.0**-23 * np.abs(ours.box).max() if form == "stl" else 0)
        assert np.abs(found.box - ours.box).max() <= near, (form, found.box, ours.box)
    if ours.colours is None:
        # It takes the factor beside a picture for a colour.
        assert found.colours is None or (found.colours == 255).all(), form
    else:
        assert found.colours == pytest.approx(ours.colours, abs=1.01), form
    if ours.coordinates is None:
        assert found.coordinates is None, form
    elif "coordinates" not in left_out:
        assert found.coordinates == pytest.approx(ours.coordinates, abs=1e-5), form
    assert found.pictures == ours.pictures, form
