"""Nearest points and deviations where both are known by geometry."""

from __future__ import annotations

import math

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.nearest import Surface, deviation, nearest_weights, sampled

pytestmark = pytest.mark.torch

TRIANGLE = np.array([[[0.0, 0, 0], [4, 0, 0], [0, 4, 0]]])


@pytest.mark.parametrize(
    ("point", "nearest"),
    [
        ((1, 1, 5), (1, 1, 0)),
        ((2, -3, 1), (2, 0, 0)),
        ((-1, -1, 0), (0, 0, 0)),
        ((9, -1, 2), (4, 0, 0)),
        ((3, 3, 0), (2, 2, 0)),
        ((-2, 1, 0), (0, 1, 0)),
    ],
)
def test_inside_on_an_edge_and_at_a_corner(point: tuple[int, ...], nearest: tuple[int, ...]) -> None:
    weights = nearest_weights(np.array([point], dtype=float), TRIANGLE)
    assert (TRIANGLE[0] * weights[0][:, None]).sum(axis=0) == pytest.approx(nearest)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()


def test_a_triangle_that_is_a_line_has_its_nearest_point_too() -> None:
    line = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    weights = nearest_weights(np.array([[1.5, 1, 0]]), line)
    assert (line[0] * weights[0][:, None]).sum(axis=0) == pytest.approx((1.5, 0, 0))


def test_many_points_of_a_ball_are_as_far_as_trimesh_says() -> None:
    ball = trimesh.creation.icosphere(subdivisions=3)
    points = np.random.default_rng(4).normal(size=(500, 3))
    away, places = Surface(ball.triangles).nearest(points)
    # Every triangle tried for every point.
    weights = nearest_weights(np.repeat(points, len(ball.faces), axis=0), np.tile(ball.triangles, (500, 1, 1)))
    there = (np.tile(ball.triangles, (500, 1, 1)) * weights[..., None]).sum(axis=1).reshape(500, -1, 3)
    best = np.linalg.norm(there - points[:, None], axis=2).min(axis=1)
    assert away == pytest.approx(best, abs=1e-9)
    assert places.points == pytest.approx((ball.triangles[places.triangle] * places.weights[..., None]).sum(axis=1))


def test_samples_lie_on_the_surface_as_its_area_asks() -> None:
    corners = np.concatenate([TRIANGLE, TRIANGLE / 4 + 10])
    places = sampled(corners, 1700)
    assert np.bincount(places.triangle) == pytest.approx([1600, 100], abs=1)


def test_balls_of_two_sizes_are_their_difference_apart() -> None:
    one, two = (trimesh.creation.icosphere(subdivisions=4, radius=radius) for radius in (1.0, 1.1))
    found = deviation(one.triangles, two.triangles, samples=2000)
    assert found.mean == pytest.approx(0.1, rel=0.01) and found.greatest == pytest.approx(0.1, rel=0.03)
    assert found.diagonal == pytest.approx(2 * math.sqrt(3), rel=0.01)


def test_what_only_one_of_them_has_counts_both_ways() -> None:
    box = trimesh.creation.box()
    pin = trimesh.creation.box([0.2, 2.0, 0.2])
    with_pin = np.concatenate([box.triangles, pin.triangles])
    forth, back = deviation(box.triangles, with_pin, 4000), deviation(with_pin, box.triangles, 4000)
    assert forth.greatest == pytest.approx(0.5, rel=0.05) and back.greatest == pytest.approx(0.5, rel=0.05)
    assert deviation(box.triangles, box.triangles).greatest == pytest.approx(0, abs=1e-9)
