"""Whether triangles close, and into how many pieces they fall."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("scipy")

from pocket3d.adapters.mesh.topology import closed_and_bodies, is_watertight

pytestmark = pytest.mark.torch

CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
FACES = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])


def by_counting(faces: Any) -> bool:
    uses = Counter((int(face[k]), int(face[(k + 1) % 3])) for face in faces for k in range(3))
    return bool(uses) and all(count == 1 and uses[end, start] == 1 for (start, end), count in uses.items())


@pytest.mark.parametrize(
    ("faces", "closed"),
    [
        (FACES, True),
        (FACES[:3], False),
        (FACES[:0], False),
        (np.concatenate([FACES[:3], FACES[3:, ::-1]]), False),
        (np.concatenate([FACES, FACES]), False),
        (np.concatenate([FACES, FACES[:, ::-1]]), False),
        (np.concatenate([FACES, [[0, 0, 1]]]), False),
        # Two solids on one edge.
        (np.concatenate([FACES, np.array([0, 1, 4, 5])[FACES]]), False),
        (np.concatenate([FACES, FACES + 4]), True),
        (FACES[:, ::-1], True),
    ],
)
def test_closed_is_what_has_each_edge_once_in_each_direction(faces: Any, closed: bool) -> None:
    assert (is_watertight(faces), by_counting(faces)) == (closed, closed)


def test_it_agrees_with_counting_on_faces_drawn_by_chance() -> None:
    dice = np.random.default_rng(4)
    for _ in range(50):
        order = dice.permutation(4)
        faces = order[FACES[dice.permutation(4)]][: dice.integers(3, 5)]
        assert is_watertight(faces) == by_counting(faces)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e12])
def test_vertices_at_one_place_are_one_whatever_their_number(size: float) -> None:
    loose = (CORNERS * size)[FACES].reshape(-1, 3)
    each = np.arange(12).reshape(-1, 3)
    assert closed_and_bodies([(loose, each)]) == (True, 1)
    assert closed_and_bodies([(CORNERS * size, FACES)]) == (True, 1)


def test_pieces_are_counted_without_vertices_that_no_face_uses() -> None:
    apart = np.concatenate([CORNERS, CORNERS + 5, [[9, 9, 9]]])
    assert closed_and_bodies([(apart, np.concatenate([FACES, FACES + 4]))]) == (True, 2)
    assert closed_and_bodies([(apart, np.concatenate([FACES, FACES[:2] + 4]))]) == (False, 2)


def test_pieces_of_one_skin_are_judged_together_and_solids_by_themselves() -> None:
    assert closed_and_bodies([(CORNERS, FACES[:2]), (CORNERS, FACES[2:])]) == (True, 1)
    # Each is closed, and their common edge opens neither.
    assert closed_and_bodies([(CORNERS, FACES), (-CORNERS, FACES[:, ::-1])]) == (True, 2)


def test_faces_that_fall_together_are_none() -> None:
    doubled = np.concatenate([CORNERS, CORNERS[:1]])
    assert closed_and_bodies([(doubled, np.concatenate([FACES, [[0, 4, 1]]]))]) == (True, 1)
    assert closed_and_bodies([(doubled, np.array([[0, 4, 1]]))]) == (False, 0)
