"""`shape-diameter-segmentation` judged by numbers on solids of known parts, and on meshes of many bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("embreex")
pytest.importorskip("manifold3d")
trimesh = pytest.importorskip("trimesh")
metrics = pytest.importorskip("sklearn.metrics")

from pocket3d.adapters.authoring.run_context import RunContext, current_run
from pocket3d.adapters.errors import InvalidInput, JobCancelled
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.parts import parts_of
from pocket3d.adapters.mesh.repair import NoSolid
from pocket3d.adapters.weight_free.segmentation import crease_parts as creases_found
from pocket3d.adapters.weight_free.segmentation.adapter import ShapeDiameterSegmentationAdapter
from pocket3d.adapters.weight_free.segmentation.closed_surface import closed_surface
from pocket3d.adapters.weight_free.segmentation.crease_parts import crease_parts
from pocket3d.adapters.weight_free.segmentation.partition import segment
from pocket3d.adapters.weight_free.segmentation.tidying import _joined_specks
from support import compositions, known_parts, many_bodies, smooth_figures
from support.compositions import TUNING, area_weighted_ari, compose

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def adapter() -> ShapeDiameterSegmentationAdapter:
    model = ShapeDiameterSegmentationAdapter()
    asyncio.run(model.load())
    return model


def _run(
    model: ShapeDiameterSegmentationAdapter, folder: Path, context: RunContext | None = None, **inputs: Any
) -> dict[str, Any]:
    token = current_run.set(context or RunContext(output_dir=folder))
    try:
        return asyncio.run(model.process(inputs))
    finally:
        current_run.reset(token)


def _silent(_fraction: float, _stage: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize(
    ("make", "turn"),
    [
        (known_parts.table, 20),
        (known_parts.snowman, 1),
        (known_parts.dumbbell, 2),
        (known_parts.mug, 3),
        (known_parts.star, 4),
        (known_parts.person, 5),
    ],
)
def test_known_parts_are_found_whatever_the_orientation(make: Callable[[], list[Any]], turn: int) -> None:
    parts = make()
    mesh, truth = known_parts.fused(parts, turn)
    found = segment(mesh, len(parts), 0, _silent)
    assert found.labels.shape == (len(mesh.faces),)
    assert sorted(set(found.labels.tolist())) == list(range(len(parts)))
    assert metrics.adjusted_rand_score(truth, found.labels) >= 0.8


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "CAD"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_solids_that_were_joined_come_apart_whatever_their_number(number: int, dense: bool) -> None:
    made = compose(TUNING[number], 100 * number + 50, dense)
    found = segment(made.mesh, None, 0, _silent)
    assert area_weighted_ari(made.truth, found.labels, made.mesh.area_faces) >= 0.93
    assert found.facts["decided_by"] == "creases"


def test_a_crease_that_runs_out_in_a_flush_side_is_closed() -> None:
    m = compositions.Maker(0, dense=False)
    # The back's side faces lie in the planes of the seat's.
    made = compose(lambda _: [m.box((0, 0, 0), (1, 1, 0.2)), m.box((0, 0.2, 0.6), (1, 0.2, 1.2))], 3, dense=False)
    found = segment(made.mesh, None, 0, _silent)
    assert area_weighted_ari(made.truth, found.labels, made.mesh.area_faces) == pytest.approx(1)


def test_the_floor_of_a_recess_is_no_part() -> None:
    m = compositions.Maker(0, dense=False)
    cup = m.lathe((0.5, 0), (0.6, 1), (0.5, 1), (0.42, 0.1))
    surface = closed_surface(cup)
    assert surface is not None
    parts = crease_parts(surface)
    assert parts is not None
    assert parts.max() == 0


@pytest.mark.parametrize(
    ("make", "measures"),
    [("torus", (1, 0.2)), ("torus", (1, 0.4, 9, 7)), ("cone", (1, 2)), ("box", ((1, 2, 3),)), ("capsule", (2, 0.5))],
)
def test_a_single_solid_stays_whole(make: str, measures: tuple[Any, ...]) -> None:
    solid = getattr(trimesh.creation, make)(*measures)
    assert segment(solid, None, 0, _silent).labels.max() == 0


def test_vertices_repeated_for_their_normals_change_nothing() -> None:
    made = compose(TUNING[0], 1, dense=False)
    apart = made.mesh.copy()
    apart.unmerge_vertices()
    assert (segment(apart, None, 0, _silent).labels == segment(made.mesh, None, 0, _silent).labels).all()


def _ball_and_specks() -> Any:
    ball = trimesh.creation.icosphere(3)
    speck = trimesh.creation.box((0.01, 0.01, 0.01))
    places = [(1.1, 0, 0), (-1.1, 0, 0), (0, 0, 1.1)]
    return trimesh.util.concatenate([ball, *(speck.copy().apply_translation(place) for place in places)])


def test_specks_go_to_the_part_whose_face_is_nearest() -> None:
    surface = closed_surface(_ball_and_specks())
    assert surface is not None
    centres = surface.points[surface.faces].mean(axis=1)
    # The ball in two halves, three specks beside them.
    labels = np.where(np.arange(len(centres)) < 1280, centres[:, 0] > 0, 2 + (np.arange(len(centres)) - 1280) // 12)
    joined = _joined_specks(surface, labels)
    assert joined[1280:].reshape(3, 12).tolist()[:2] == [[1] * 12, [0] * 12]
    assert len(np.unique(joined)) == 2


def test_more_pieces_than_are_looked_at_are_no_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    surface = closed_surface(_ball_and_specks())
    assert surface is not None and crease_parts(surface) is not None
    monkeypatch.setattr(creases_found, "MOST_PIECES", 3)
    assert crease_parts(surface) is None


def test_100_loose_triangles_are_refused_at_once() -> None:
    soup = np.random.default_rng(0).uniform(size=(300, 3))
    told: list[str] = []
    with pytest.raises(NoSolid, match="100 loose triangles"):
        segment(
            trimesh.Trimesh(soup, np.arange(300).reshape(100, 3), process=False), None, 0, lambda _, s: told.append(s)
        )
    assert "fusing the bodies" not in told


def test_the_number_of_parts_is_chosen_and_said_where_it_is_not_given(
    adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path
) -> None:
    parts = known_parts.table()
    mesh, truth = known_parts.fused(parts, 7)
    source = tmp_path / "table.glb"
    mesh.export(source)
    told: list[tuple[float | None, str | None]] = []
    context = RunContext(output_dir=tmp_path, on_progress=lambda *report: told.append((report[0], report[1])))
    result = _run(adapter, tmp_path, context, mesh_path=str(source))
    info = result["segmentation_info"]
    assert result["num_parts"] == info["num_parts"] == 5
    assert info["requested_parts"] is None
    assert info["chosen_by"] == "method"
    labels = np.load(result["labels_path"])
    assert metrics.adjusted_rand_score(truth, labels) >= 0.8
    # The scene has the faces of the labels, part by part.
    scene = trimesh.load_scene(result["output_mesh_path"])
    sizes = [len(scene.geometry[part["node"]].faces) for part in info["parts"]]
    assert sizes == [part["faces"] for part in info["parts"]] == np.bincount(labels).tolist()
    assert sum(part["area"] for part in info["parts"]) == pytest.approx(mesh.area, rel=1e-5)
    written = parts_of(read_scene(Path(result["output_mesh_path"])))
    shown = {part.name: [round(c * 255) for c in part.material.colour] for part in written}
    assert shown == {part["node"]: part["colour"] for part in info["parts"]}
    assert len({tuple(each) for each in shown.values()}) == 5
    assert info["statistics"]["faces"] == len(mesh.faces)
    assert (tmp_path / result["thumbnail_path"]).is_file()
    fractions = [fraction or 0.0 for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_an_ant_of_15_bodies_is_fused_and_keeps_its_own_faces(
    adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path
) -> None:
    ant = many_bodies.ant()
    source = tmp_path / "ant.ply"
    ant.export(source)
    result = _run(adapter, tmp_path, mesh_path=str(source), num_parts=12)
    again = _run(adapter, tmp_path, mesh_path=str(source), num_parts=12)
    info = result["segmentation_info"]
    labels = np.load(result["labels_path"])
    assert np.array_equal(labels, np.load(again["labels_path"]))
    assert labels.shape == (len(ant.faces),)
    assert info["working_surface"]["bodies_before"] == 15
    assert "15 bodies" in info["notes"][0]
    # Six legs stick out to the sides; no two of them share a part, and none shares one with the trunk.
    x, _, z = ant.triangles_center.T
    feet = [np.unique(labels[(x * side > 3.4) & (np.abs(z - at) < 1)]) for side in (-1, 1) for at in (3.2, 0, -3.2)]
    assert all(len(foot) > 0 for foot in feet)
    assert len({int(label) for foot in feet for label in foot}) == sum(len(foot) for foot in feet)
    trunk = set(labels[np.abs(x) < 0.15].tolist())
    assert not trunk & {int(label) for foot in feet for label in foot}


def test_an_airplane_of_open_bodies_comes_apart_into_wings_and_fuselage() -> None:
    plane = many_bodies.airplane()
    found = segment(plane, None, 0, _silent)
    x, y, _ = plane.triangles_center.T
    reach = np.ptp(x) / 2
    left, right = found.labels[x < -0.5 * reach], found.labels[x > 0.5 * reach]
    nose = found.labels[(np.abs(x) < 0.1 * reach) & (y < np.quantile(y, 0.2))]
    assert len(np.unique(left)) == len(np.unique(right)) == 1
    assert len({int(left[0]), int(right[0]), int(np.bincount(nose).argmax())}) == 3
    assert found.facts["working_surface"]["open_bodies_before"] == 7


def _plane() -> Any:
    return trimesh.creation.box((1, 1, 0)).subdivide()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]), "1 faces enclose nothing"),
        (_plane(), "one plane"),
    ],
)
def test_what_encloses_nothing_is_refused_with_what_was_read(
    adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path, content: Any, wrong: str
) -> None:
    source = tmp_path / "flat.ply"
    content.export(source)
    with pytest.raises(InvalidInput, match=wrong) as caught:
        _run(adapter, tmp_path, mesh_path=str(source))
    assert caught.value.field == "mesh_path"
    assert f"{len(content.faces)} faces" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OFF\n3 0 0\n0 0 0\n1 0 0\n0 1 0\n",
        "OFF\n4 4 0\n0 0 0\n1 0 0\n0 nan 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 2 0 3\n",
    ],
)
def test_empty_files_point_clouds_and_nan_are_refused(
    adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path, text: str
) -> None:
    source = tmp_path / "odd.off"
    source.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        _run(adapter, tmp_path, mesh_path=str(source))
    assert caught.value.field == "mesh_path"


@pytest.mark.parametrize("inputs", [{"num_parts": 0}, {"num_parts": 65}, {"seed": -1}, {"output_format": "fbx"}])
def test_options_outside_their_range_are_refused(
    adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path, inputs: dict[str, Any]
) -> None:
    source = tmp_path / "ball.ply"
    trimesh.creation.icosphere(1).export(source)
    with pytest.raises(InvalidInput) as caught:
        _run(adapter, tmp_path, mesh_path=str(source), **inputs)
    assert caught.value.field == next(iter(inputs))


def test_a_cancel_ends_it_between_two_stages(adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path) -> None:
    source = tmp_path / "ball.ply"
    trimesh.creation.icosphere(2).export(source)
    stages: list[str | None] = []

    def stop(_fraction: float | None, stage: str | None, *_rest: Any) -> None:
        stages.append(stage)
        if stage == "measuring the thickness":
            context.cancel()

    context = RunContext(output_dir=tmp_path, on_progress=stop)
    with pytest.raises(JobCancelled):
        _run(adapter, tmp_path, context, mesh_path=str(source), num_parts=5)
    assert stages[-1] == "measuring the thickness"


def _painted(mesh: Any) -> Any:
    from PIL import Image

    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.new("RGB", (4, 4), (200, 40, 10)))
    mesh.visual = trimesh.visual.TextureVisuals(uv=mesh.vertices[:, :2], material=material)
    return mesh


def test_what_parts_of_one_colour_cannot_keep_is_said(
    adapter: ShapeDiameterSegmentationAdapter, tmp_path: Path
) -> None:
    source = tmp_path / "painted.glb"
    scene = trimesh.Scene()
    scene.add_geometry(_painted(trimesh.creation.box((1, 1, 1))), node_name="crate")
    scene.add_geometry(_painted(trimesh.creation.box((1, 1, 1)).apply_translation((3, 0, 0))), node_name="other")
    scene.export(source)
    lost = _run(adapter, tmp_path, mesh_path=str(source))["segmentation_info"]["lost"]
    assert [each.split(":")[0] for each in lost] == [
        "materials, textures and texture coordinates",
        "the source's own 2 objects and their names",
    ]
    bare = tmp_path / "bare.ply"
    trimesh.creation.box((1, 1, 1)).export(bare)
    assert _run(adapter, tmp_path, mesh_path=str(bare))["segmentation_info"]["lost"] == []


def test_a_smooth_figure_in_one_piece_comes_apart_at_its_limbs() -> None:
    # By thickness alone 0.12: three parts for six.
    figure = smooth_figures.make(smooth_figures.person, 11, edge=0.07)
    found = segment(figure.mesh, None, 0, lambda _fraction, _stage: None)
    assert found.facts["decided_by"] == "limbs"
    assert area_weighted_ari(figure.truth, found.labels, figure.mesh.area_faces) > 0.6
    assert 5 <= found.labels.max() + 1 <= 8
