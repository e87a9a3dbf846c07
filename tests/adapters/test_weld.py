"""Which vertices are at one place."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from pocket3d.adapters.mesh import weld
from pocket3d.adapters.mesh.weld import NEARLY, weld_vertices

pytestmark = pytest.mark.torch


def test_equal_points_are_one_place_and_the_first_of_them_stands_for_it() -> None:
    points = np.array([[2.0, 0, 0], [1, 0, 0], [2, 0, 0], [1, -0.0, 0], [1, 0, 1e-12]])
    place, first = weld_vertices(points)
    assert place.tolist() == [2, 0, 2, 0, 1]
    assert first.tolist() == [1, 4, 0]


def test_with_a_tolerance_near_points_are_one_place_whatever_the_units() -> None:
    for size in (1e-9, 1.0, 1e9):
        points = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1e-8, 0], [1, 1e-3, 0]]) * size
        place, first = weld_vertices(points, NEARLY)
        assert place.tolist() == [0, 1, 1, 2] and first.tolist() == [0, 1, 3]
        assert len(weld_vertices(points)[1]) == 4


def test_what_else_has_to_be_equal_keeps_points_apart() -> None:
    points = np.zeros((4, 3))
    normals = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    place, first = weld_vertices(points, also=normals)
    assert place.tolist() == [0, 1, 0, 1] and first.tolist() == [0, 1]


def test_points_without_extent_and_one_alone_are_one_place() -> None:
    for points in (np.ones((5, 3)), np.ones((1, 3))):
        place, first = weld_vertices(points, NEARLY)
        assert place.tolist() == [0] * len(points) and first.tolist() == [0]


def test_it_agrees_with_comparing_all_rows() -> None:
    dice = np.random.default_rng(5)
    points = dice.integers(-3, 3, (400, 3)).astype(np.float32)
    place, first = weld_vertices(points)
    _, index, inverse = np.unique(points, axis=0, return_index=True, return_inverse=True)
    assert np.array_equal(place, inverse.reshape(-1)) and np.array_equal(first, index)
    assert np.array_equal(points[first][place], points)


def test_rows_whose_hashes_are_equal_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weld, "_hashes", lambda columns: np.full(len(columns[0]), 7, dtype=np.uint64))
    points = np.random.default_rng(6).integers(-3, 3, (400, 3)).astype(np.float32)
    place, first = weld_vertices(points)
    _, index, inverse = np.unique(points, axis=0, return_index=True, return_inverse=True)
    assert np.array_equal(place, inverse.reshape(-1)) and np.array_equal(first, index)
