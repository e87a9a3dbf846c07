"""Charts for texturing: nothing lies over itself, every triangle is kept, at any size; and how they are packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")
np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")
pytest.importorskip("xatlas")

from bench.texturing import many_pieces
from pocket3d.adapters.weight_free.texturing.atlas import rasterise
from pocket3d.adapters.weight_free.unwrapping import packing
from pocket3d.adapters.weight_free.unwrapping.charts import planar_charts
from pocket3d.adapters.weight_free.unwrapping.layout import NoUnwrap
from pocket3d.adapters.weight_free.unwrapping.library import densest
from pocket3d.adapters.weight_free.unwrapping.overlaps import covering_twice
from pocket3d.adapters.weight_free.unwrapping.packing import grid_at, lay_out_planes

pytestmark = pytest.mark.torch


def staircase(turns: float = 3.0, steps: int = 120) -> tuple[Any, Any]:
    """A band that winds up around an axis: seen from above every turn lies over the one below."""
    angle = np.linspace(0, 2 * np.pi * turns, steps)
    ring = np.stack([np.cos(angle), np.sin(angle), 0.05 * angle], axis=1)
    vertices = np.concatenate([ring * [0.5, 0.5, 1], ring])
    low = np.arange(steps - 1)
    high = low + steps
    return vertices, np.concatenate([np.stack([low, high, high + 1], 1), np.stack([low, high + 1, low + 1], 1)])


def wavy_ball() -> tuple[Any, Any]:
    ball = trimesh.creation.icosphere(subdivisions=4)
    points = np.asarray(ball.vertices)
    return points * (1 + 0.15 * np.sin(9 * points[:, :1]) * np.sin(8 * points[:, 1:2])), np.asarray(ball.faces)


SURFACES = {
    "staircase": staircase(),
    "wavy ball": wavy_ball(),
    "tube": (np.asarray(trimesh.creation.annulus(0.4, 0.5, 1).vertices), trimesh.creation.annulus(0.4, 0.5, 1).faces),
}


@pytest.mark.parametrize(("name", "size"), [("staircase", 1.0), ("staircase", 1e-6), ("wavy ball", 1.0), ("tube", 1e6)])
def test_charts_do_not_overlap_and_keep_each_triangle(name: str, size: float, tmp_path: Path) -> None:
    vertices, faces = SURFACES[name]
    [(source, made, uv)], count = lay_out_planes(
        [(vertices * size, faces)], resolution=512, folder=tmp_path, check=lambda: None
    )
    assert np.array_equal(source[made], faces), "the triangles are those that came, in their order"
    assert uv.min() >= 0 and uv.max() <= 1
    assert count <= 120
    shown = rasterise(uv[made], 1024, "cpu")
    assert shown.overlapping == 0
    assert len(shown.where) > 0.35 * 1024**2


def test_many_small_pieces_fill_the_square(tmp_path: Path) -> None:
    pieces = many_pieces(30)
    surface = (np.asarray(pieces.vertices), np.asarray(pieces.faces))
    [(_, made, uv)], count = lay_out_planes([surface], resolution=512, folder=tmp_path, check=lambda: None)
    shown = rasterise(uv[made], 512, "cpu")
    # xatlas by itself, four texels around each chart, filled 0.3 of it.
    assert count > 200 and shown.overlapping == 0 and len(shown.where) > 0.5 * 512**2


def test_a_box_has_its_six_sides() -> None:
    box = trimesh.creation.box([1, 2, 3])
    found = planar_charts(np.asarray(box.vertices), np.asarray(box.faces))
    assert len(found.axes) == 6 == len(set(found.label))
    normals = np.cross(found.axes[:, 0], found.axes[:, 1])
    assert np.allclose(np.abs(normals).max(axis=1), 1), "each is projected as it is"


def test_noise_on_a_surface_does_not_tear_it() -> None:
    vertices, faces = wavy_ball()
    rough = vertices + np.random.default_rng(1).normal(scale=0.004, size=vertices.shape)
    assert len(planar_charts(rough, faces).axes) < 2.5 * len(planar_charts(vertices, faces).axes)


def test_no_face_turns_its_back_to_its_plane() -> None:
    vertices, faces = wavy_ball()
    label, axes = planar_charts(vertices, faces)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    towards = np.cross(axes[:, 0], axes[:, 1])[label]
    assert (normals * towards).sum(axis=1).min() > 0.2


def test_faces_without_an_area_are_kept_in_a_corner(tmp_path: Path) -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0]])
    faces = np.array([[0, 1, 2], [0, 1, 3]])
    [(source, made, uv)], count = lay_out_planes([(vertices, faces)], resolution=256, folder=tmp_path, check=print)
    assert count == 1 and np.array_equal(source[made], faces)
    assert not uv[made[1]].any() and np.ptp(uv[made[0]], axis=0).min() > 0.4
    with pytest.raises(NoUnwrap, match="encloses an area"):
        lay_out_planes([(vertices, faces[1:])], resolution=256, folder=tmp_path, check=print)


def test_more_charts_than_the_limit_are_refused_before_they_are_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "call_native", None)
    monkeypatch.setattr(packing, "LEAST_CELLS", 20_000)
    box = trimesh.creation.box()
    surface = np.asarray(box.vertices), np.asarray(box.faces)
    with pytest.raises(
        NoUnwrap, match=r"^it comes apart into 6 charts, at most 3 .* in 256 texels .* ask for more texels"
    ):
        lay_out_planes([surface], resolution=256, folder=tmp_path, check=print)
    monkeypatch.setattr(packing, "MOST_CHARTS", 2)
    with pytest.raises(NoUnwrap, match=r"^it comes apart into 6 charts, at most 2 are laid out; .* merge the vertices"):
        lay_out_planes([surface], resolution=256, folder=tmp_path, check=print)


def test_triangles_over_one_another_are_found() -> None:
    triangle = np.array([[0.0, 0.0], [1, 0], [0, 1]])
    apart = np.stack([triangle, triangle + np.array([1.5, 0])])
    label = np.zeros(2, dtype=int)
    assert len(covering_twice(apart, label)[0]) == 0
    over = np.stack([triangle, triangle + np.array([0.3, 0])])
    one, two = covering_twice(over, label)
    assert {*one, *two} == {0, 1}
    assert len(covering_twice(over, np.array([0, 1]))[0]) == 0, "other charts lie elsewhere"
    # A side in common is no overlap.
    assert len(covering_twice(np.stack([triangle, np.array([[1.0, 0], [1, 1], [0, 1]])]), label)[0]) == 0


def test_the_largest_scale_that_fits_is_found() -> None:
    tried: list[tuple[float, bool]] = []

    def packed(scale: float, thorough: bool) -> float | None:
        tried.append((scale, thorough))
        # A thorough search finds room for more.
        return scale if scale * scale * 2.0 <= (0.66 if thorough else 0.58) * 64 * 64 else None

    best = densest(2.0, 64, packed, 4)
    assert 0.6 < best * best * 2.0 / (64 * 64) <= 0.66
    assert [thorough for _, thorough in tried] == [False] * 5 + [True] * 4
    assert densest(2.0, 64, lambda scale, _: None, 0) is None


def test_the_grid_suits_the_texture_and_the_charts() -> None:
    assert [grid_at(resolution, 40) for resolution in (256, 512, 1024, 4096)] == [256, 512, 512, 1024]
    assert grid_at(1024, 6000) == 1024
