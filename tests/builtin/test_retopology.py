"""`instant-meshes-retopology`, judged from the files: how many faces, how regular, how far from the old surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("pynanoinstantmeshes")

from pocket3d.adapters.authoring.run_context import RunContext
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.weight_free.retopology.adapter import InstantMeshesRetopologyAdapter
from pocket3d.adapters.weight_free.retopology.remesh import divided, valence
from support import tool_meshes
from support.adapter_run import run

pytestmark = pytest.mark.torch


def retopology(folder: Path, source: Path, **inputs: Any) -> dict[str, Any]:
    return run(InstantMeshesRetopologyAdapter(), folder / "out", mesh_path=str(source), **inputs)


@pytest.mark.parametrize(("polygons", "sides"), [("quads", 4), ("triangles", 3)])
def test_a_ball_is_covered_with_as_many_faces_as_asked(tmp_path: Path, polygons: str, sides: int) -> None:
    tool_meshes.ball(4).export(tmp_path / "ball.glb")
    made = retopology(tmp_path, tmp_path / "ball.glb", target_faces=1000, polygons=polygons, output_format="obj")
    info = made["retopology_info"]
    text = Path(made["output_mesh_path"]).read_text().splitlines()
    faces = [line.split()[1:] for line in text if line.startswith("f ")]
    assert {len(face) for face in faces} == {sides} and len(faces) == info["polygon_faces"]
    assert info["polygon_faces"] == pytest.approx(1000, rel=0.1)
    assert info["valence"]["regular_percent"] > 90
    # A chord of 1000 faces on a ball stays within half a per cent of its diagonal.
    assert 0 < info["deviation"]["max_percent_of_diagonal"] < 0.6 and info["warnings"] == []
    assert info["statistics"]["watertight"] is True and made["thumbnail_path"]


def test_the_same_request_gives_the_same_mesh(tmp_path: Path) -> None:
    tool_meshes.ball().export(tmp_path / "ball.glb")
    files = [retopology(tmp_path / n, tmp_path / "ball.glb", target_faces=400)["output_mesh_path"] for n in "ab"]
    assert Path(files[0]).read_bytes() == Path(files[1]).read_bytes()


def test_sharp_edges_of_a_box_stay_and_are_lost_where_none_are_asked_for(tmp_path: Path) -> None:
    trimesh.creation.box([2, 1, 1]).export(tmp_path / "box.stl")
    sharp, round_ = (
        retopology(tmp_path / str(angle), tmp_path / "box.stl", target_faces=1500, sharp_angle=angle)
        for angle in (30, 180)
    )
    found = [made["retopology_info"]["deviation"]["mean"] for made in (sharp, round_)]
    assert found[0] < 0.002 and found[0] < found[1]
    # Both volumes are of the solid: the corners are where they were.
    solid = trimesh.load(sharp["output_mesh_path"], force="mesh", process=True)
    assert solid.volume == pytest.approx(2.0, rel=0.01)


def test_a_glb_gets_its_quadrilaterals_beside_it(tmp_path: Path) -> None:
    tool_meshes.ball().export(tmp_path / "ball.glb")
    made = retopology(tmp_path, tmp_path / "ball.glb", target_faces=400)
    quads = [line for line in Path(made["quad_mesh_path"]).read_text().splitlines() if line.startswith("f ")]
    assert len(quads) == made["retopology_info"]["polygon_faces"]
    assert made["retopology_info"]["face_count"] == 2 * len(quads)
    assert [Path(each).suffix for each in made["extra_paths"]] == [".mtl"]


def test_parts_keep_their_names_colours_and_places(tmp_path: Path) -> None:
    source = tool_meshes.write_two_balls(tmp_path / "two.glb")
    made = retopology(tmp_path, source, target_faces=1000)
    parts = {each.name: each for each in parts_of(read_scene(Path(made["output_mesh_path"])))}
    assert parts["red"].material.colour == pytest.approx((1, 0, 0), abs=0.01)
    assert parts["blue"].vertices.mean(axis=0) == pytest.approx((3, 0, 0), abs=0.05)
    # By area: the small ball has a quarter of the other's.
    assert len(parts["blue"].faces) == pytest.approx(len(parts["red"].faces) / 4, rel=0.3)


def test_a_textures_colours_go_to_the_new_vertices_and_that_is_said(tmp_path: Path) -> None:
    source = tool_meshes.write_painted_sheet(tmp_path / "sheet.glb")
    made = retopology(tmp_path, source, target_faces=800)
    [sheet] = parts_of(read_scene(Path(made["output_mesh_path"])))
    assert sheet.texture is None and sheet.colours is not None
    left, right = sheet.vertices[:, 0] < 0.8, sheet.vertices[:, 0] > 1.2
    assert np.ptp(sheet.colours[left][:, 0]) < 3 and sheet.colours[left][:, 0].max() < 3
    assert sheet.colours[right][:, 0].min() > 250
    assert any("textures" in each for each in made["retopology_info"]["warnings"])


@pytest.mark.parametrize("name", tool_meshes.SOUND_ENOUGH)
def test_strange_surfaces_are_covered_all_the_same(tmp_path: Path, name: str) -> None:
    tool_meshes.unsound(name).export(tmp_path / "mesh.ply")
    info = retopology(tmp_path, tmp_path / "mesh.ply", target_faces=300)["retopology_info"]
    assert info["face_count"] > 100
    assert info["deviation"]["mean_percent_of_diagonal"] < 5


@pytest.mark.parametrize(("name", "said"), [("no area", "encloses an area"), ("needle", "too thin")])
def test_what_cannot_be_covered_is_refused(tmp_path: Path, name: str, said: str) -> None:
    tool_meshes.unsound(name).export(tmp_path / "mesh.ply")
    with pytest.raises(InvalidInput, match=said) as caught:
        retopology(tmp_path, tmp_path / "mesh.ply")
    assert caught.value.field == "mesh_path"


def test_a_cancel_ends_the_library(tmp_path: Path) -> None:
    tool_meshes.ball(5).export(tmp_path / "ball.glb")
    stages: list[str] = []

    def heard(fraction: float | None, stage: str | None, message: str | None) -> None:
        stages.append(stage or "")
        if stage == "covering it anew":
            context.cancel()

    context = RunContext(output_dir=tmp_path, on_progress=heard)
    inputs = {"mesh_path": str(tmp_path / "ball.glb"), "target_faces": 100_000}
    with pytest.raises(JobCancelled):
        run(InstantMeshesRetopologyAdapter(), tmp_path, context, **inputs)
    assert stages == ["reading the mesh", "cleaning the surface", "covering it anew"]


def test_valence_counts_edges_of_inner_vertices() -> None:
    """Nine vertices in a square: the one in the middle has four neighbours."""
    corner = np.array([0, 1, 3, 4])
    quads = np.stack([corner, corner + 1, corner + 4, corner + 3], axis=1)
    vertices = np.array([[x, y, 0.0] for y in range(3) for x in range(3)])
    assert valence([(vertices, quads)], 4) == {
        "regular": 4,
        "interior_vertices": 1,
        "regular_percent": 100.0,
        "least": 4,
        "most": 4,
    }


def test_quadrilaterals_are_divided_along_the_shorter_diagonal() -> None:
    kite = np.array([[0.0, 0, 0], [1, -0.2, 0], [2, 0, 0], [1, 0.2, 0]])
    assert divided(kite, np.array([[0, 1, 2, 3]])).tolist() == [[0, 1, 3], [1, 2, 3]]
