"""`quadric-mesh-simplification`, judged from the files: how many faces, how far away, what was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("fast_simplification")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.appearance import texels
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.write import write_mesh
from pocket3d.adapters.weight_free.simplification.adapter import QuadricMeshSimplificationAdapter
from support import tool_meshes
from support.adapter_run import run

pytestmark = pytest.mark.torch


def simplification(folder: Path, source: Path, **inputs: Any) -> dict[str, Any]:
    return run(QuadricMeshSimplificationAdapter(), folder / "out", mesh_path=str(source), **inputs)


@pytest.mark.parametrize(
    ("wanted", "faces"), [({"target_faces": 500}, 500), ({"ratio": 0.1}, 512), ({}, 2560), ({"ratio": 1}, 5120)]
)
def test_a_ball_of_fewer_faces_is_still_a_ball(tmp_path: Path, wanted: dict[str, Any], faces: int) -> None:
    tool_meshes.ball(4).export(tmp_path / "ball.glb")
    info = simplification(tmp_path, tmp_path / "ball.glb", **wanted)["simplification_info"]
    assert info["faces_before"] == 5120 and info["faces_after"] == info["face_count"] == pytest.approx(faces, rel=0.02)
    assert info["statistics"]["watertight"] is True and info["warnings"] == []
    assert info["deviation"]["max_percent_of_diagonal"] < 1
    assert info["statistics"]["extents"] == pytest.approx([2, 2, 2], abs=0.04)


def test_flat_sides_cost_nothing(tmp_path: Path) -> None:
    box = trimesh.creation.box().subdivide().subdivide().subdivide()
    box.export(tmp_path / "box.stl")
    info = simplification(tmp_path, tmp_path / "box.stl", target_faces=12)["simplification_info"]
    assert info["faces_after"] == 12
    assert info["deviation"]["max"] == pytest.approx(0, abs=1e-4)


def test_both_wishes_at_once_are_refused(tmp_path: Path) -> None:
    tool_meshes.ball().export(tmp_path / "ball.glb")
    with pytest.raises(InvalidInput, match="one of them") as caught:
        simplification(tmp_path, tmp_path / "ball.glb", target_faces=100, ratio=0.5)
    assert caught.value.field == "ratio"


def test_a_texture_stays_where_it_was(tmp_path: Path) -> None:
    source = tool_meshes.write_painted_sheet(tmp_path / "sheet.glb")
    made = simplification(tmp_path, source, ratio=0.4)
    [sheet] = parts_of(read_scene(Path(made["output_mesh_path"])))
    assert sheet.texture is not None and sheet.uv is not None and len(sheet.faces) < 600
    # The coordinates follow the places: u runs with x, v against y.
    assert sheet.uv[:, 0] == pytest.approx(0.02 + 0.48 * sheet.vertices[:, 0], abs=0.01)
    assert sheet.uv[:, 1] == pytest.approx(0.98 - 0.48 * sheet.vertices[:, 1], abs=0.01)
    left = sheet.vertices[:, 0] < 0.9
    assert texels(sheet.texture, sheet.uv[left])[:, 0].max() < 20


def test_without_its_texture_the_colours_are_at_the_vertices_and_that_is_said(tmp_path: Path) -> None:
    source = tool_meshes.write_painted_sheet(tmp_path / "sheet.glb")
    made = simplification(tmp_path, source, ratio=0.4, keep_texture=False)
    [sheet] = parts_of(read_scene(Path(made["output_mesh_path"])))
    assert sheet.texture is None and sheet.colours is not None
    assert sheet.colours[sheet.vertices[:, 0] < 0.8][:, 0].max() < 5
    assert sheet.colours[sheet.vertices[:, 0] > 1.2][:, 0].min() > 250
    assert any("textures are left out" in each for each in made["simplification_info"]["warnings"])


def test_charts_go_on_meeting_and_what_that_costs_is_said(tmp_path: Path) -> None:
    """A box whose sides are charts of their own: their borders stay, so it stays closed."""
    box = trimesh.creation.box().subdivide().subdivide()
    side = np.abs(box.face_normals).argmax(axis=1) * 2 + (box.face_normals.sum(axis=1) > 0)
    corners = box.vertices[box.faces].reshape(-1, 3)
    axes = np.repeat(side // 2, 3)
    plane = np.stack([np.delete(point, axis) for point, axis in zip(corners, axes, strict=True)])
    uv = (plane + 0.5) / 8 + np.repeat(side, 3)[:, None] / 7
    loose = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
    texture = np.zeros((16, 16, 3), dtype=np.uint8)
    write_mesh([tool_meshes.part("box", loose, uv=uv, texture=texture)], tmp_path / "box.glb")
    info = simplification(tmp_path, tmp_path / "box.glb", target_faces=12)["simplification_info"]
    assert info["statistics"]["watertight"] is True and 12 < info["faces_after"] < len(box.faces)
    assert any("keep_texture=false" in each for each in info["warnings"])
    bare = simplification(tmp_path / "bare", tmp_path / "box.glb", target_faces=12, keep_texture=False)
    assert bare["simplification_info"]["faces_after"] == 12


def test_open_borders_stay_where_they_are_if_asked(tmp_path: Path) -> None:
    half = tool_meshes.ball()
    half.update_faces(half.triangles_center[:, 1] > 0)
    half.remove_unreferenced_vertices()
    edges, used = np.unique(half.edges_sorted, axis=0, return_counts=True)
    border = half.vertices[np.unique(edges[used == 1])]
    half.export(tmp_path / "half.glb")

    def still_there(keep: bool) -> int:
        made = simplification(tmp_path / str(keep), tmp_path / "half.glb", ratio=0.2, keep_borders=keep)
        mesh = trimesh.load(made["output_mesh_path"], force="mesh")
        away = np.linalg.norm(mesh.vertices[:, None] - border[None], axis=2).min(axis=0)
        return int((away < 1e-6).sum())

    assert still_there(True) == len(border) > still_there(False)


def test_parts_keep_names_and_colours_and_share_the_faces(tmp_path: Path) -> None:
    source = tool_meshes.write_two_balls(tmp_path / "two.glb")
    made = simplification(tmp_path, source, target_faces=600)
    parts = {each.name: each for each in parts_of(read_scene(Path(made["output_mesh_path"])))}
    assert {name: len(each.faces) for name, each in parts.items()} == {"red": 300, "blue": 300}
    assert parts["red"].material.colour == pytest.approx((1, 0, 0), abs=0.01)


@pytest.mark.parametrize("target", ["obj", "ply", "stl"])
def test_other_formats_say_what_they_cannot_hold(tmp_path: Path, target: str) -> None:
    source = tool_meshes.write_painted_sheet(tmp_path / "sheet.glb")
    made = simplification(tmp_path, source, ratio=0.4, output_format=target)
    info = made["simplification_info"]
    assert info["output_format"] == target and info["face_count"] < 700
    assert bool(info["lost"]) is (target != "obj")


@pytest.mark.parametrize("name", tool_meshes.SOUND_ENOUGH)
def test_strange_surfaces_are_simplified_too(tmp_path: Path, name: str) -> None:
    mesh = tool_meshes.unsound(name)
    mesh.export(tmp_path / "mesh.ply")
    info = simplification(tmp_path, tmp_path / "mesh.ply", ratio=0.5)["simplification_info"]
    assert 1 <= info["face_count"] <= max(0.6 * len(mesh.faces), 1)


def test_a_mesh_without_any_area_is_refused(tmp_path: Path) -> None:
    tool_meshes.unsound("no area").export(tmp_path / "mesh.ply")
    with pytest.raises(InvalidInput, match="encloses an area"):
        simplification(tmp_path, tmp_path / "mesh.ply")
