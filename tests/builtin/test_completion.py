"""`hole-filling-part-completion`: caps judged by areas and volumes that are known, and parts by the written file."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.part_files import write_parts
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.result import scene_statistics
from pocket3d.adapters.weight_free.completion.adapter import HoleFillingPartCompletionAdapter
from pocket3d.adapters.weight_free.completion.holes import TooManyHoles, _Links, _taken, fill_holes

pytestmark = pytest.mark.torch


def run(folder: Path, mesh: Path) -> dict[str, Any]:
    token = current_run.set(RunContext(output_dir=folder))
    try:
        model = HoleFillingPartCompletionAdapter()

        async def both() -> dict[str, Any]:
            await model.load()
            result: dict[str, Any] = await model.process({"mesh_path": str(mesh)})
            return result

        return asyncio.run(both())
    finally:
        current_run.reset(token)


def without(mesh: Any, gone: Any) -> Any:
    """The mesh without some faces: a trimesh of its own vertices."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces[~gone], process=False)


def test_half_a_ball_is_closed_by_a_disc() -> None:
    ball = trimesh.creation.icosphere(subdivisions=4, radius=2.0)
    half = without(ball, ball.triangles_center[:, 2] > 0)
    filled = fill_holes(np.asarray(half.vertices), np.asarray(half.faces))
    (hole,) = filled.holes
    assert hole.area == pytest.approx(math.pi * 4, rel=0.03)
    assert filled.volume == pytest.approx(2 / 3 * math.pi * 8, rel=0.03)


def test_many_holes_are_closed_each_by_itself() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    # A face and its neighbours: a loop of six edges.
    opened = without(ball, (ball.faces == ball.faces[0, 0]).any(axis=1))
    many = trimesh.util.concatenate([opened.copy().apply_translation((3 * k, 0, 0)) for k in range(300)])
    one = fill_holes(np.asarray(opened.vertices), np.asarray(opened.faces))
    filled = fill_holes(np.asarray(many.vertices), np.asarray(many.faces))
    assert (len(filled.holes), filled.open_edges, filled.bad_edges) == (300, 0, 0)
    assert one.volume is not None
    assert filled.volume == pytest.approx(300 * one.volume, rel=1e-6)


def test_what_an_edge_of_the_mesh_joins_is_no_inner_edge_of_a_cap() -> None:
    faces = np.array([[0, 1, 5], [1, 2, 6], [0, 2, 7], [3, 4, 8]])
    links = _Links.of(faces, [[0, 1, 2, 3], [4, 5]])
    taken = _taken(np.array([3, 1, 0, 2]), links)
    joined = {(1, 2), (1, 3), (2, 3)}
    assert {(int(a), int(b)) for a, b in np.argwhere(taken) if a < b} == joined
    assert (taken == taken.T).all()


def test_more_open_edges_than_the_limit_are_refused_before_they_are_closed(tmp_path: Path) -> None:
    opened = without(trimesh.creation.icosphere(subdivisions=1), np.arange(80) == 0)
    vertices, faces = np.asarray(opened.vertices), np.asarray(opened.faces)
    assert len(fill_holes(vertices, faces, 3).holes) == 1
    with pytest.raises(TooManyHoles, match=r"^3 open edges, and at most 200,000 of all parts together are closed"):
        fill_holes(vertices, faces, 2)


def test_a_loop_that_is_not_convex_is_filled_inside_only() -> None:
    # An L of three unit squares, extruded, without its top.
    outline = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]], dtype=float)
    bottom = np.column_stack([outline, np.zeros(6)])
    vertices = np.concatenate([bottom, np.column_stack([outline, np.ones(6)])])
    walls = [[i, (i + 1) % 6, 6 + (i + 1) % 6] for i in range(6)] + [[i, 6 + (i + 1) % 6, 6 + i] for i in range(6)]
    filled = fill_holes(vertices, np.array(walls))
    assert [hole.area for hole in filled.holes] == pytest.approx([3.0, 3.0])
    assert filled.volume == pytest.approx(3.0)


@pytest.mark.parametrize("sides", [250, 1000])
def test_long_loops_are_divided_and_closed(sides: int) -> None:
    tube = trimesh.creation.cylinder(radius=1.0, height=1.0, sections=sides)
    tube = without(tube, np.abs(tube.face_normals[:, 2]) > 0.5)
    filled = fill_holes(np.asarray(tube.vertices), np.asarray(tube.faces))
    assert [hole.edges for hole in filled.holes] == [sides, sides]
    assert filled.open_edges == filled.bad_edges == 0
    assert filled.volume == pytest.approx(math.pi, rel=0.01)


def test_holes_that_touch_in_a_point_are_two() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)
    corner = int(ball.faces[0, 0])
    around = np.flatnonzero((ball.faces == corner).any(axis=1))
    gone = np.zeros(len(ball.faces), dtype=bool)
    gone[around[0]] = True
    apart = [f for f in around if len(set(ball.faces[f]) & set(ball.faces[around[0]])) == 1]
    gone[apart[0]] = True
    open_ball = without(ball, gone)
    filled = fill_holes(np.asarray(open_ball.vertices), np.asarray(open_ball.faces))
    assert [hole.edges for hole in filled.holes] == [3, 3]
    assert filled.volume == pytest.approx(ball.volume)


def test_a_sheet_and_a_twisted_mesh_are_left_and_said(tmp_path: Path) -> None:
    sheet = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    box = trimesh.creation.box()
    faces = np.asarray(box.faces).copy()
    faces[0] = faces[0][::-1]
    twisted = trimesh.Trimesh(np.asarray(box.vertices) + 3, faces, process=False)
    scene = trimesh.Scene({"sheet": sheet, "twisted": twisted})
    scene.export(tmp_path / "both.glb")
    info = run(tmp_path, tmp_path / "both.glb")["completion_info"]
    assert info["closed_parts"] == 0 and info["holes_filled"] == 0
    assert any("sheet: a sheet" in note for note in info["notes"])
    assert any("twisted" in note and "no inside" in note for note in info["notes"])


def test_parts_that_were_cut_are_closed_each_and_keep_their_colours(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    centre = ball.triangles_center
    labels = (centre[:, 0] > 0.2).astype(int) + (centre[:, 2] > 0.3)
    source = tmp_path / "parts.glb"
    write_parts(ball, labels, source)
    assert all(not mesh.is_watertight for mesh in read_scene(source).geometry.values())

    result = run(tmp_path, source)
    info = result["completion_info"]
    assert info["num_parts"] == info["closed_parts"] == result["num_parts"] == 3 and info["notes"] == []
    scene = read_scene(Path(result["output_mesh_path"]))
    assert scene_statistics(scene)["watertight"] is True and info["statistics"]["watertight"] is True
    # Caps of neighbours need not be one surface where three parts meet, but they are near each other.
    assert sum(part["volume"] for part in info["parts"]) == pytest.approx(ball.volume, rel=0.05)
    given = {part.name: part for part in parts_of(read_scene(source))}
    for part in parts_of(scene):
        assert part.material.colour == pytest.approx(given[part.name].material.colour, abs=1e-6)
    assert (tmp_path / result["thumbnail_path"]).stat().st_size > 1000


def test_teeth_of_a_jagged_rim_are_not_covered_twice() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    rng = np.random.default_rng(5)
    jagged = without(ball, ball.triangles_center[:, 1] + rng.uniform(-0.15, 0.15, len(ball.faces)) > 0.3)
    jagged = max(jagged.split(only_watertight=False), key=lambda piece: len(piece.faces))
    filled = fill_holes(np.asarray(jagged.vertices), np.asarray(jagged.faces))
    assert sum(hole.edges for hole in filled.holes) > 60
    assert filled.open_edges == filled.bad_edges == 0 and filled.volume is not None


def test_what_is_closed_stays(tmp_path: Path) -> None:
    trimesh.creation.box().export(tmp_path / "box.stl")
    info = run(tmp_path, tmp_path / "box.stl")["completion_info"]
    assert (info["holes_filled"], info["closed_parts"], info["face_count"]) == (0, 1, 12)
    assert info["parts"][0]["volume"] == pytest.approx(1.0)
