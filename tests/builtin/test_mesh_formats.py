"""OBJ, PLY, STL and OFF as real exporters write them: what is read, what is named, what is refused and why."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.input import ignored_parts, read_mesh, read_scene
from pocket3d.adapters.mesh.parts import parts_of
from support import mesh_files as files

pytestmark = pytest.mark.torch


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Read bytes, or text, as a file of a name."""

    def reader(name: str, data: bytes | str) -> Any:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_scene(path)

    return reader


def refused(read: Any, name: str, data: bytes | str) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(name, data)
    return caught.value.message


def only(scene: Any) -> Any:
    (mesh,) = scene.geometry.values()
    return mesh


def shown_colours(scene: Any) -> set[tuple[int, ...]]:
    """The colours (sRGB, alpha) at the vertices, as they are written."""
    colours = [part.colours for part in parts_of(scene) if part.colours is not None]
    return {tuple(each) for each in np.concatenate(colours).tolist()} if colours else set()


SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"

# ---------------------------------------------------------------- OBJ


def test_objects_are_parts_with_their_names(read: Any) -> None:
    text = "o Left\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\no Right\nv 5 0 0\nv 6 0 0\nv 5 1 0\nf 4 5 6\n"
    scene = read("a.obj", text)
    assert {name: mesh.bounds[0][0] for name, mesh in scene.geometry.items()} == {"Left": 0.0, "Right": 5.0}


def test_groups_are_parts_where_there_are_no_objects(read: Any) -> None:
    assert set(read("a.obj", SQUARE + "g wheel\nf 1 2 3\ng door\nf 1 3 4\n").geometry) == {"wheel", "door"}
    selected = read("b.obj", SQUARE + "o car\ng wheel\nf 1 2 3\ng door\nf 1 3 4\n")
    assert {name: len(mesh.faces) for name, mesh in selected.geometry.items()} == {"car": 2}


def test_an_object_that_comes_back_goes_on(read: Any) -> None:
    scene = read("a.obj", SQUARE + "o a\nf 1 2 3\no b\nf 1 2 4\no a\nf 1 3 4\n")
    assert {name: len(mesh.faces) for name, mesh in scene.geometry.items()} == {"a": 2, "b": 1}


def test_materials_keep_their_names_and_no_texture_is_invented(read: Any) -> None:
    text = SQUARE + "vt 0 0\nvt 3 0\nvt 3 1\nusemtl Skin\nf 1/1 2/2 3/3\nusemtl Cloth\nf 1/1 3/3 4/2\n"
    scene = read("a.obj", text)
    materials = {mesh.visual.material.name: mesh.visual.material for mesh in scene.geometry.values()}
    assert set(materials) == {"Skin", "Cloth"}
    assert all(material.baseColorTexture is None for material in materials.values())
    assert max(mesh.visual.uv.max() for mesh in scene.geometry.values()) == 3
    # Colours are not stated either.
    assert shown_colours(scene) == set()


def test_an_object_of_two_materials_is_two_parts_named_after_both(read: Any) -> None:
    text = SQUARE + "o body\nusemtl skin\nf 1 2 3\nusemtl cloth\nf 1 3 4\no hat\nusemtl cloth\nf 1 2 4\n"
    assert set(read("a.obj", text).geometry) == {"body_skin", "body_cloth", "hat"}


@pytest.mark.parametrize("uv", [False, True])
@pytest.mark.parametrize("strength", [1, 255])
def test_colours_behind_the_places_stay_with_and_without_texture_coordinates(
    read: Any, uv: bool, strength: int
) -> None:
    colours = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    lines = [
        f"v {x} {y} 0 " + " ".join(str(c * strength) for c in colour)
        for (x, y), colour in zip([(0, 0), (1, 0), (0, 1)], colours, strict=True)
    ]
    lines += ["vt 0 0", "vt 1 0", "vt 0 1", "f 1/1 2/2 3/3"] if uv else ["f 1 2 3"]
    scene = read("a.obj", "\n".join(lines))
    assert shown_colours(scene) == {(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)}
    assert uv == (getattr(only(scene).visual, "uv", None) is not None)


def test_polygons_of_different_size_and_corners_of_different_form(read: Any) -> None:
    text = (
        SQUARE + "v 2 2 0\nvn 0 0 1\nvt 0 0\nf 1 2 3 4\nf 1//1 3//1 4//1\nf 1/1 2/1 3/1 4/1 5/1\nf 1/1/1 2/1/1 5/1/1\n"
    )
    assert len(only(read("a.obj", text)).faces) == 2 + 1 + 3 + 1
    assert len(only(read("b.obj", SQUARE + "vt 0 0\nf 1/1/ 2/1/ 3/1/\n")).faces) == 1


def test_corners_that_differ_in_coordinates_or_normals_are_different_vertices(read: Any) -> None:
    seam = SQUARE + "vt 0 0\nvt 1 1\nf 1/1 2/1 3/1\nf 1/2 3/2 4/2\n"
    assert len(only(read("a.obj", seam)).vertices) == 6
    edge = SQUARE + "vn 0 0 1\nvn 0 1 0\nf 1//1 2//1 3//1\nf 1//2 3//2 4//2\n"
    mesh = only(read("b.obj", edge))
    assert len(mesh.vertices) == 6
    assert {tuple(each) for each in np.asarray(mesh.vertex_normals).tolist()} == {(0, 0, 1), (0, 1, 0)}
    smooth = SQUARE + "vn 0 0 1\nf 1//1 2//1 3//1\nf 1//1 3//1 4//1\n"
    assert len(only(read("c.obj", smooth)).vertices) == 4


def test_indices_without_their_list_are_left_out(read: Any) -> None:
    mesh = only(read("a.obj", SQUARE + "f 1/1/1 2/2/2 3/3/3\n"))
    assert len(mesh.vertices) == 3 and getattr(mesh.visual, "uv", None) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SQUARE.replace("1 0 0", "1,5 0 0") + "f 1 2 3", "line 2: '1,5' is no number; write numbers with a point"),
        (SQUARE + "v 1 2\nf 1 2 3", "line 5: a vertex needs 3 numbers, got 2"),
        (SQUARE + "f 1 2 9", "line 5: a face points to 9 of 4 v"),
        (SQUARE + "f 1 2 3\nf 1 2", "line 6: a face needs 3 corners, got 2"),
        (SQUARE + "f 1 2 -7", "line 5: an index points before the first v"),
        (SQUARE + "f 1 2 three", "line 5: 'three' is no corner of a face"),
        (SQUARE + "vn 0 1\nf 1 2 3", "line 5: vn needs 3 numbers, got 2"),
        (SQUARE, "point cloud"),
    ],
)
def test_what_is_wrong_in_an_obj_is_said_with_its_line(read: Any, text: str, said: str) -> None:
    assert said in refused(read, "a.obj", text)


def test_a_line_that_goes_on_is_one(read: Any) -> None:
    assert len(only(read("a.obj", SQUARE + "f 1 2 \\\n3 \\\n4\n")).faces) == 2
    assert "line 7" in refused(read, "b.obj", SQUARE + "f 1 2 \\\n3\nf 1 2 x\n")


# ---------------------------------------------------------------- PLY


def a_ply(vertex: str, rows: list[str], faces: str = "element face 1\nproperty list uchar int vertex_indices") -> str:
    header = (
        f"ply\nformat ascii 1.0\nelement vertex 3\nproperty double x\nproperty double y\nproperty double z\n{vertex}"
    )
    return header + faces + "\nend_header\n" + "\n".join(rows) + "\n"


COLOURED = "property uchar red\nproperty uchar green\nproperty uchar blue\n"


def test_colours_of_a_ply_stay_beside_texture_coordinates(read: Any) -> None:
    rows = ["0 0 0 255 0 0 0 0", "1 0 0 0 255 0 1 0", "0 1 0 0 0 255 0 1", "3 0 1 2"]
    scene = read("a.ply", a_ply(COLOURED + "property float s\nproperty float t\n", rows))
    assert shown_colours(scene) == {(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)}
    assert only(scene).visual.uv.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert only(scene).visual.material.baseColorTexture is None


def test_colours_as_floats_and_of_faces(read: Any) -> None:
    floats = COLOURED.replace("uchar", "float")
    scene = read("a.ply", a_ply(floats, ["0 0 0 1 0 0", "1 0 0 1 0 0", "0 1 0 1 0 0", "3 0 1 2"]))
    assert shown_colours(scene) == {(255, 0, 0, 255)}
    faces = "element face 2\nproperty list uchar int vertex_index\n" + COLOURED.rstrip()
    scene = read("b.ply", a_ply("", ["0 0 0", "1 0 0", "0 1 0", "3 0 1 2 9 8 7", "3 0 2 1 1 2 3"], faces))
    assert shown_colours(scene) == {(9, 8, 7, 255), (1, 2, 3, 255)}


def test_coordinates_at_the_corners_of_faces_are_read(read: Any) -> None:
    faces = "element face 2\nproperty list uchar int vertex_indices\nproperty list uchar float texcoord"
    rows = ["0 0 0", "1 0 0", "0 1 0", "3 0 1 2 6 0 0 1 0 0 1", "3 0 2 1 6 .5 .5 0 1 1 0"]
    mesh = only(read("a.ply", a_ply("", rows, faces)))
    assert len(mesh.vertices) == 4
    assert mesh.visual.uv[mesh.faces[1]].tolist() == [[0.5, 0.5], [0, 1], [1, 0]]


def strips(chain: list[int]) -> bytes:
    head = "ply\nformat binary_big_endian 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)]
    body = b"".join(struct.pack(">3f", *place) for place in places)
    return head.encode() + body + struct.pack(f">{len(chain) + 1}i", len(chain), *chain)


def test_strips_are_triangles_that_all_face_one_way(read: Any) -> None:
    mesh = only(read("a.ply", strips([0, 1, 2, 3])))
    assert mesh.faces.tolist() == [[0, 1, 2], [2, 1, 3]]
    assert (np.asarray(mesh.face_normals)[:, 2] == 1).all()
    # Two strips in one list; the direction begins anew.
    assert only(read("b.ply", strips([0, 1, 2, -1, 2, 1, 3]))).faces.tolist() == [[0, 1, 2], [2, 1, 3]]
    # Triangles without area join strips.
    assert len(only(read("c.ply", strips([0, 1, 2, 2, 2, 1, 3]))).faces) == 2


@pytest.mark.parametrize("form", ["ascii", "binary_little_endian"])
def test_polygons_of_different_size_in_a_ply(read: Any, form: str) -> None:
    head = f"ply\nformat {form} 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element edge 1\nproperty int vertex1\nproperty int vertex2\n"
    head += "element face 2\nproperty list uchar uint vertex_indices\nproperty uchar flags\nend_header\n"
    if form == "ascii":
        body = b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n0 1\n4 0 1 2 3 7\n3 0 1 2 7\n"
    else:
        body = struct.pack("<12f2i", 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1)
        body += struct.pack("<B4IB", 4, 0, 1, 2, 3, 7) + struct.pack("<B3IB", 3, 0, 1, 2, 7)
    assert only(read("a.ply", head.encode() + body)).faces.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]


def test_point_clouds_and_splats_are_told_to_be_such(read: Any) -> None:
    head = (
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n{}end_header\n"
    )
    assert "point cloud" in refused(read, "a.ply", head.format("") + "0 0 0\n")
    splat = "property float opacity\nproperty float scale_0\nproperty float rot_0\n"
    assert "3D Gaussians" in refused(read, "b.ply", head.format(splat) + "0 0 0 1 1 1\n")


# ---------------------------------------------------------------- STL


def test_a_text_stl_without_its_end_is_read_and_told(read: Any) -> None:
    scene = read("a.stl", files.text_stl().replace(b"endsolid body", b""))
    assert len(only(scene).faces) == 4
    assert "endsolid" in ignored_parts(scene)[0]
    assert "broken off" in refused(read, "b.stl", files.text_stl().rpartition(b"vertex")[0])


@pytest.mark.parametrize("more", [1, 37, 1000])
def test_bytes_behind_the_triangles_of_an_stl_are_named(read: Any, more: int) -> None:
    scene = read("a.stl", files.stl() + b"\0" * more)
    assert len(only(scene).faces) == 4
    assert ignored_parts(scene) == [f"{more:,} bytes behind the last of its 4 triangles"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_small_a_count_in_an_stl_is_set_right_by_what_is_there(read: Any, count: int) -> None:
    scene = read("a.stl", files.stl(count))
    assert len(only(scene).faces) == 4
    assert "the count in its header" in ignored_parts(scene)[0]


def test_zeros_behind_an_stl_are_no_triangles(read: Any) -> None:
    assert len(only(read("a.stl", files.stl() + b"\0" * 500)).faces) == 4


def test_too_large_a_count_in_an_stl_is_told_with_both_numbers(read: Any) -> None:
    said = refused(read, "a.stl", files.stl(5))
    assert "announces 5 triangles, 4 are there" in said and "again" in said


def coloured_stl(header: bytes, bits: list[int]) -> bytes:
    data = bytearray(files.stl())
    data[: len(header)] = header
    for row, value in enumerate(bits):
        struct.pack_into("<H", data, 84 + 50 * row + 48, value)
    return bytes(data)


def test_colours_of_magics_and_of_viscam(read: Any) -> None:
    magics = coloured_stl(b"COLOR=\xff\x00\x00\xff", [0b11111, 0x8000, 0x8000, 0b11111 << 10])
    assert shown_colours(read("a.stl", magics)) == {(255, 0, 0, 255), (0, 0, 255, 255)}
    whole = coloured_stl(b"COLOR=\x00\xff\x00\xff", [0, 0, 0, 0])
    assert shown_colours(read("b.stl", whole)) == {(0, 255, 0, 255)}
    viscam = coloured_stl(b"", [0x8000 | 0b11111, 0x8000 | 0b11111 << 10, 0, 0])
    assert {(0, 0, 255, 255), (255, 0, 0, 255)} < shown_colours(read("c.stl", viscam))
    assert shown_colours(read("d.stl", files.stl())) == set()


@pytest.mark.parametrize("scale", [1e-9, 1e-12, 1e9])
def test_an_stl_of_any_size_keeps_its_corners(read: Any, scale: float) -> None:
    rows = [[scale * c for c in files.VERTICES[corner]] for face in files.FACES for corner in face]
    data = b"\0" * 80 + struct.pack("<I", 4)
    for face in range(4):
        data += struct.pack("<12fH", 0, 0, 0, *rows[3 * face], *rows[3 * face + 1], *rows[3 * face + 2], 0)
    mesh = only(read("a.stl", data))
    assert len(mesh.vertices) == 4
    assert np.ptp(mesh.vertices, axis=0) == pytest.approx([scale] * 3, rel=1e-6)


def test_solids_of_a_text_stl_are_parts(read: Any) -> None:
    two = files.text_stl().replace(b"body", b"left") + b"\n" + files.text_stl().replace(b"body", b"right")
    assert {name: len(mesh.faces) for name, mesh in read("a.stl", two).geometry.items()} == {"left": 4, "right": 4}


# ---------------------------------------------------------------- OFF


def test_colours_of_an_off_at_vertices_and_at_faces(read: Any) -> None:
    vertices = "COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 255 0 255\n0 1 0 0 0 255 255\n3 0 1 2\n"
    assert shown_colours(read("a.off", vertices)) == {(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)}
    floats = "COFF\n3 1 0\n0 0 0 1.0 0.0 0.0\n1 0 0 1.0 0.0 0.0\n0 1 0 1.0 0.0 0.0\n3 0 1 2\n"
    assert shown_colours(read("b.off", floats)) == {(255, 0, 0, 255)}
    faces = "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2 9 8 7\n3 0 2 1 1 2 3\n"
    assert shown_colours(read("c.off", faces)) == {(9, 8, 7, 255), (1, 2, 3, 255)}


def test_further_forms_of_off(read: Any) -> None:
    normals = "NOFF 3 1 0\n0 0 0 0 0 1\n1 0 0 0 0 1\n0 1 0 0 0 1\n3 0 1 2\n"
    assert shown_colours(read("a.off", normals)) == set()
    assert len(only(read("b.off", "OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n")).faces) == 2
    assert "binary" in refused(read, "c.off", "OFF BINARY\n")
    assert "point cloud" in refused(read, "d.off", "OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n")


# ---------------------------------------------------------------- far from the origin


@pytest.mark.parametrize("origin", [(450_000.25, 4_800_000.5, 35.125), (0.0, 1e9, 0.0)])
def test_a_mesh_far_from_the_origin_keeps_its_shape(read: Any, origin: tuple[float, ...]) -> None:
    corners = np.array(files.VERTICES) * (0.25, 3.0, 0.001) + origin
    lines = ["v " + " ".join(f"{c:.12g}" for c in corner) for corner in corners]
    lines += ["f " + " ".join(str(corner + 1) for corner in face) for face in files.FACES]
    scene = read("a.obj", "\n".join(lines))
    # Single precision is enough for what each part has.
    (node,) = scene.graph.nodes_geometry
    transform = scene.graph.get(node)[0]
    local = only(scene).vertices.astype(np.float32).astype(np.float64)
    found = local + transform[:3, 3]
    given = [[float(f"{c:.12g}") for c in corner] for corner in corners]
    assert np.sort(found, axis=0) == pytest.approx(np.sort(np.array(given), axis=0), abs=3e-5, rel=0)
    assert np.ptp(local, axis=0) == pytest.approx([0.25, 3.0, 0.001], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "vertices", "faces"),
    [
        ("ply_tristrips.ply", 4, 2),
        ("off_vertexcolours.off", 4, 4),
        ("stl_no_endsolid.stl", 4, 4),
        ("stl_trailing_bytes.stl", 4, 4),
        ("vcol_and_uv.ply", 4, 4),
        ("usemtl_names.obj", 11, 4),
        ("two_objects_names.obj", 8, 8),
        ("georef_double.ply", 4, 4),
        ("scale_1e-6.obj", 4, 4),
    ],
)
def test_files_as_met_are_read(name: str, vertices: int, faces: int) -> None:
    scene = read_scene(files.case(name))
    meshes = scene.geometry.values()
    assert (sum(len(mesh.vertices) for mesh in meshes), sum(len(mesh.faces) for mesh in meshes)) == (vertices, faces)
    if name in ("off_vertexcolours.off", "vcol_and_uv.ply"):
        assert len(shown_colours(scene)) == 4
    if name == "two_objects_names.obj":
        assert set(scene.geometry) == {"Left", "Right"}
    if name == "usemtl_names.obj":
        assert {mesh.visual.material.name for mesh in meshes} == {"Skin", "Cloth"}


def test_all_parts_of_a_file_joined_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("v 1e6 0 0\nv 1000001 0 0\nv 1e6 1 0\no a\nf 1 2 3\no b\nf 3 2 1\n")
    assert read_mesh(path).bounds.tolist() == [[1e6, 0, 0], [1e6 + 1, 1, 0]]
