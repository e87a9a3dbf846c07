"""The last look at a written mesh: what does not load is the adapter's failure, and what does is counted and drawn."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("embreex")

from PIL import Image

from pocket3d.adapters.mesh import thumbnail
from pocket3d.adapters.mesh.result import BrokenOutput, describe_mesh
from pocket3d.adapters.mesh.write import Material, MeshPart, vertex_normals, write_mesh
from support import glb_reading, mesh_files

pytestmark = pytest.mark.torch


def _part(name: str, mesh: Any, colour: tuple[float, float, float], **more: Any) -> MeshPart:
    normals = vertex_normals(mesh.vertices, mesh.faces)
    return MeshPart(name, mesh.vertices, mesh.faces, normals, Material(name, colour), **more)


def _picture(folder: Path, path: Path) -> Any:
    name = describe_mesh(path, folder)["thumbnail_path"]
    image = Image.open(folder / name)
    assert image.size == (256, 256)
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("name", sorted(mesh_files.SOUND))
def test_every_format_is_counted_alike(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(mesh_files.SOUND[name])
    statistics = describe_mesh(path, tmp_path)["statistics"]
    assert statistics.pop("vertices") == (12 if name.endswith(".stl") else 4)
    assert statistics == {"faces": 4, "bodies": 1, "watertight": True, "extents": [1.0, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("missing.glb", None),
        ("empty.glb", b""),
        ("broken.glb", mesh_files.glb()[:-40]),
        ("no_faces.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n"),
        ("nan.glb", mesh_files.glb(binary=b"\xff\xff\xff\x7f" + mesh_files.gltf_binary()[4:])),
        ("beyond.glb", mesh_files.glb(binary=mesh_files.gltf_binary(faces=[(0, 1, 9), *mesh_files.FACES[1:]]))),
    ],
)
def test_what_does_not_load_again_is_the_adapters_failure(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(BrokenOutput, match=name):
        describe_mesh(tmp_path / name, tmp_path)


def test_bodies_and_closedness_over_parts(tmp_path: Path) -> None:
    box, ball = trimesh.creation.box(), trimesh.creation.icosphere(subdivisions=1)
    ball.apply_translation([5, 0, 0])

    def statistics(*parts: MeshPart) -> dict[str, Any]:
        write_mesh(parts, tmp_path / "mesh.glb")
        counted: dict[str, Any] = describe_mesh(tmp_path / "mesh.glb", tmp_path)["statistics"]
        return counted

    red = (1.0, 0.0, 0.0)
    both = statistics(_part("box", box, red), _part("ball", ball, red))
    assert (both["bodies"], both["watertight"], both["faces"]) == (2, True, 12 + 80)
    # Two pieces of one skin, as exporters write a body with two materials.
    halves = [trimesh.Trimesh(box.vertices, box.faces[part], process=True) for part in (slice(6), slice(6, 12))]
    one = statistics(*(_part(f"half {index}", half, red) for index, half in enumerate(halves)))
    assert (one["bodies"], one["watertight"]) == (1, True)
    open_box = statistics(_part("open", trimesh.Trimesh(box.vertices, box.faces[2:], process=True), red))
    assert (open_box["bodies"], open_box["watertight"]) == (1, False)


@pytest.mark.parametrize("suffix", ["glb", "obj", "ply"])
def test_the_picture_shows_the_files_colours(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ball.{suffix}"
    write_mesh([_part("ball", trimesh.creation.icosphere(subdivisions=3), (0.1, 0.3, 0.9))], path)
    picture = _picture(tmp_path, path)
    middle = picture[96:160, 96:160].reshape(-1, 3).mean(axis=0)
    assert middle[2] > 2 * middle[1] > 2 * middle[0]
    # The corners show the background, a light grey.
    assert picture[4, 4].min() > 180 and np.ptp(picture[4, 4]) < 20


def test_the_picture_shows_textures_the_right_way_up(tmp_path: Path) -> None:
    vertices = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    square = trimesh.Trimesh(vertices, [[0, 1, 2], [0, 2, 3]], process=False)
    texture = np.zeros((64, 64, 3), dtype=np.uint8)
    texture[:32], texture[32:] = (255, 0, 0), (0, 255, 0)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], dtype=float)
    path = tmp_path / "square.glb"
    write_mesh([_part("square", square, (1.0, 1.0, 1.0), uv=uv, texture=texture)], path)
    picture = _picture(tmp_path, path)
    upper, lower = picture[80, 128], picture[176, 128]
    assert upper[0] > 150 > 50 > upper[1] and lower[1] > 150 > 50 > lower[0]


def test_models_of_any_size_and_place_fill_the_picture(tmp_path: Path) -> None:
    pictures = []
    for scale, offset in ((1.0, 0.0), (1e-5, 0.0), (1e5, 1e6)):
        ball = trimesh.creation.icosphere(subdivisions=3)
        ball.apply_scale(scale)
        ball.apply_translation([offset] * 3)
        ball.export(tmp_path / "ball.off")
        pictures.append(_picture(tmp_path, tmp_path / "ball.off"))
    for picture in pictures[1:]:
        assert np.abs(picture - pictures[0]).mean() < 1


@pytest.mark.parametrize("shift", [0.0, 3.0, -2.0])
def test_a_texture_repeats_where_coordinates_leave_it(tmp_path: Path, shift: float) -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    # A colour in each quarter; the corners lie in the middle of them.
    picture = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], dtype=np.uint8)
    uv = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]) + shift
    material = Material("tiles", (1.0, 1.0, 1.0))
    part = MeshPart("wall", vertices, faces, vertex_normals(vertices, faces), material, uv, picture)
    write_mesh([part], tmp_path / "a.ply")
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    assert mesh.visual.vertex_colors[:, :3].tolist() == picture.reshape(-1, 3)[[0, 1, 3, 2]].tolist()
    write_mesh([part], tmp_path / "a.glb")
    (sampler,) = glb_reading.json_chunk(tmp_path / "a.glb")["samplers"]
    assert sampler["wrapS"] == sampler["wrapT"] == (33071 if shift == 0 else 10497)


def test_faces_that_lie_on_one_another_cost_the_picture_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture of 20,000 of them, 400 kB, took 14 seconds of a core after they had been read in one."""
    monkeypatch.setattr(thumbnail, "MOST_S", 0.5, raising=False)
    path = tmp_path / "a.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n" + "f 1 2 3\n" * 10_000)
    began = time.process_time()
    described = describe_mesh(path, tmp_path)
    assert time.process_time() - began < 5
    assert (described["statistics"]["faces"], described["thumbnail_path"]) == (10_000, None)
