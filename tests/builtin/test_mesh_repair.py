"""Fusing: closed manifolds from whatever bodies, true to the volume where there was one."""

from __future__ import annotations

from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
trimesh = pytest.importorskip("trimesh")

from scipy.spatial.transform import Rotation

from pocket3d.adapters.mesh import repair
from pocket3d.adapters.mesh.repair import NoSolid, fuse, surface_net

pytestmark = pytest.mark.torch


def _is_manifold(mesh: Any) -> bool:
    """Every edge between two faces, and the faces around every vertex one ring."""
    if not (mesh.is_watertight and mesh.is_winding_consistent):
        return False
    # A vertex with two rings would make the Euler number odd or the bodies too few.
    pieces = mesh.split(only_watertight=False)
    return all(piece.euler_number % 2 == 0 and piece.euler_number <= 2 for piece in pieces)


def _overlapping_inside_out() -> Any:
    first, second = trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 1, 1))
    second.apply_translation((0.5, 0, 0))
    second.invert()
    return trimesh.util.concatenate([first, second])


def test_overlapping_bodies_become_one_even_if_one_faces_inwards() -> None:
    fused, facts = fuse(_overlapping_inside_out(), 48)
    assert _is_manifold(fused)
    assert (facts["bodies_before"], facts["bodies_after"]) == (2, 1)
    assert fused.volume == pytest.approx(1.5, rel=0.01)
    assert fused.bounds == pytest.approx(np.array([[-0.5, -0.5, -0.5], [1.0, 0.5, 0.5]]), abs=facts["cell_size"])


def _scattered(make: Any, places: Any) -> Any:
    return trimesh.util.concatenate([make.copy().apply_translation(place) for place in places])


def test_more_bodies_than_the_limit_are_refused_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "MOST_BODIES", 3)
    boxes = _scattered(trimesh.creation.box((1, 1, 1)), [(2 * k, 0, 0) for k in range(4)])
    with pytest.raises(NoSolid, match=r"^4 separate bodies, at most 3 are fused.* merge the vertices by distance"):
        fuse(boxes, 48)


def test_debris_smaller_than_the_grid_is_no_body_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "MOST_BODIES", 1)
    ball = trimesh.creation.icosphere(3)
    # Near nodes and off them: a body of a hundredth of a cell encloses a node only by chance.
    specks = _scattered(trimesh.creation.box((4e-4,) * 3), np.random.default_rng(7).uniform(-0.5, 0.5, (50, 3)) * 4)
    fused, facts = fuse(trimesh.util.concatenate([ball, specks]), 48)
    assert facts["bodies_before"] == 51
    assert _is_manifold(fused)


def test_a_hole_is_closed() -> None:
    ball = trimesh.creation.icosphere(3)
    opened = trimesh.Trimesh(ball.vertices, ball.faces[ball.triangles_center[:, 2] < 0.8], process=False)
    fused, facts = fuse(opened, 48)
    assert facts["open_bodies_before"] == 1
    assert _is_manifold(fused)
    cap = np.pi * 0.2**2 * (3 - 0.2) / 3
    assert fused.volume == pytest.approx(4 / 3 * np.pi - cap, rel=0.03)


def test_a_sheet_is_thickened_to_the_grid_and_said_so() -> None:
    sheet = trimesh.creation.box((1, 1, 0))
    sheet.apply_transform(trimesh.transformations.rotation_matrix(0.7, [1, 2, 3]))
    fused, facts = fuse(sheet, 40)
    assert facts["thickened_share"] == 1
    assert facts["bodies_after"] == 1
    assert _is_manifold(fused)


def test_a_small_gap_between_bodies_is_bridged() -> None:
    cell = 2 / 40
    left, right = trimesh.creation.box((1, 0.5, 0.5)), trimesh.creation.box((1, 0.5, 0.5))
    right.apply_translation((1 + 2.5 * cell, 0, 0))
    fused, facts = fuse(trimesh.util.concatenate([left, right]), 40)
    assert facts["bodies_after"] == 1
    assert facts["bridged_cells"] >= 1
    assert _is_manifold(fused)


@pytest.mark.parametrize("seed", range(4))
def test_random_soups_give_manifolds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    soup = trimesh.Trimesh(rng.random((90, 3)), np.arange(90).reshape(-1, 3), process=False)
    fused, facts = fuse(soup, 32)
    assert _is_manifold(fused)
    assert facts["watertight"] is True


def test_a_cavity_is_filled() -> None:
    shell = trimesh.util.concatenate([trimesh.creation.icosphere(3, 1.0), trimesh.creation.icosphere(3, 0.5)])
    fused, _ = fuse(shell, 40)
    assert fused.body_count == 1
    assert fused.volume == pytest.approx(4 / 3 * np.pi, rel=0.02)


def test_what_is_added_for_a_manifold_encloses_no_cavities() -> None:
    # Turned like this, nodes added at the creases once closed off others: a speck inside the solid.
    legs = [trimesh.creation.box((0.12, 0.12, 1.0)) for _ in range(4)]
    for leg, (x, y) in zip(legs, [(-0.85, -0.45), (-0.85, 0.45), (0.85, -0.45), (0.85, 0.45)], strict=True):
        leg.apply_translation((x, y, -0.5))
    table = trimesh.util.concatenate([trimesh.creation.box((2, 1.2, 0.12)), *legs])
    turn = np.eye(4)
    turn[:3, :3] = Rotation.random(random_state=24).as_matrix()
    table.apply_transform(turn)
    assert fuse(table, 68)[1]["bodies_after"] == 1


def test_the_net_of_a_ball_lies_on_it() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(20.0)] * 3, indexing="ij"), axis=-1)
    points, faces = surface_net(np.linalg.norm(grid - 9.4, axis=-1) - 6.3)
    assert np.linalg.norm(points - 9.4, axis=1) == pytest.approx(np.full(len(points), 6.3), abs=0.15)
    assert trimesh.Trimesh(points, faces, process=False).volume > 0


@pytest.mark.parametrize(
    ("vertices", "faces", "wrong"),
    [
        ([[0, 0, 0]], np.zeros((0, 3), int), "no faces"),
        ([[0, 0, 0], [1, 0, 0], [np.nan, 1, 0]], [[0, 1, 2]], "finite"),
        ([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], "area"),
    ],
)
def test_what_has_no_surface_is_refused(vertices: Any, faces: Any, wrong: str) -> None:
    with pytest.raises(NoSolid, match=wrong):
        fuse(trimesh.Trimesh(vertices, faces, process=False, validate=False), 32)
