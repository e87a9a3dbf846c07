"""Inflation, surface and texture, judged against formulas and by numbers."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
trimesh = pytest.importorskip("trimesh")

from scipy import ndimage

from pocket3d.adapters.mesh.write import is_watertight
from pocket3d.adapters.weight_free.silhouette.inflate import inflate
from pocket3d.adapters.weight_free.silhouette.surface import (
    PADDING,
    close_surface,
    intersection_over_union,
    silhouette,
    smooth_field,
)
from pocket3d.adapters.weight_free.silhouette.texture import cut_texture
from support.photo_making import disc

pytestmark = pytest.mark.torch


def test_a_disc_becomes_half_a_ball() -> None:
    mask = disc(101, 40.3)
    height = inflate(smooth_field(mask)).height[PADDING:-PADDING, PADDING:-PADDING]
    yy, xx = np.mgrid[0:101, 0:101]
    squared = (yy - 50) ** 2 + (xx - 50) ** 2
    radius = np.sqrt(mask.sum() / np.pi)
    expected = np.sqrt(np.clip(radius**2 - squared, 0, None))
    well_inside = squared < (radius - 3) ** 2
    assert np.abs(height - expected)[well_inside].max() < 0.02 * radius


def test_a_long_bar_becomes_a_round_one() -> None:
    # f = 2 (R^2 - x^2) far from the ends, so the height is sqrt(2) times a circle's.
    mask = np.zeros((60, 400), dtype=bool)
    mask[15:45, 10:390] = True
    height = inflate(smooth_field(mask)).height[PADDING:-PADDING, PADDING:-PADDING]
    assert height[:, 200].max() == pytest.approx(np.sqrt(2) * 15, rel=0.02)


def test_the_equation_is_solved() -> None:
    mask = disc(80, 25) | disc(80, 12, (40, 65))
    field = smooth_field(mask)
    answer = inflate(field)
    assert answer.residual < 1e-5
    assert (answer.height[field <= 0.5] == 0).all()
    assert (answer.height[field > 0.5] > 0).all()
    inner = ndimage.binary_erosion(field > 0.5, iterations=2)
    f = answer.height**2
    laplacian = ndimage.laplace(f)
    assert laplacian[inner] == pytest.approx(-4, abs=0.01)


def test_deepest_on_the_medial_axis() -> None:
    rng = np.random.default_rng(0)
    shapes = [disc(120, 40), np.zeros((120, 120), dtype=bool), disc(120, 30, (50, 50)) | disc(120, 18, (85, 80))]
    shapes[1][30:90, 15:105] = True
    shapes.append(ndimage.gaussian_filter(rng.normal(size=(120, 120)), 14) > 0.01)
    for mask in shapes:
        labels, _ = ndimage.label(mask)
        mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
        field = smooth_field(mask)
        height = inflate(field).height[PADDING:-PADDING, PADDING:-PADDING]
        distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
        deepest = np.unravel_index(height.argmax(), height.shape)
        assert distance[deepest] >= 0.85 * distance.max()
        assert np.corrcoef(height[mask], distance[mask])[0, 1] > 0.85


def test_wide_is_deeper_than_narrow() -> None:
    mask = disc(140, 30, (50, 45)) | disc(140, 10, (50, 120))
    mask[45:55, 45:120] = True
    height = inflate(smooth_field(mask)).height
    assert height[50 + PADDING, 45 + PADDING] > 2.4 * height[50 + PADDING, 120 + PADDING]


def _ring() -> Any:
    return disc(90, 38) & ~disc(90, 14)


def _diagonal() -> Any:
    mask = np.zeros((40, 40), dtype=bool)
    for i in range(5, 34):
        mask[i, i : i + 3] = True
    mask[2:12, 2:12] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "euler"),
    [
        (disc(60, 20), 2),
        (_ring(), 0),
        (np.ones((30, 40), dtype=bool), 2),
        (_diagonal(), 2),
    ],
    ids=["disc", "ring", "whole frame", "stairs"],
)
def test_the_surface_is_closed_and_covers_the_mask(mask: Any, euler: int) -> None:
    field = smooth_field(mask)
    surface = close_surface(field, inflate(field).height)
    assert is_watertight(surface.faces)
    solid = trimesh.Trimesh(surface.vertices * [1, -1, 1], surface.faces, process=False)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.volume > 0
    assert solid.euler_number == euler
    assert len(np.unique(surface.faces)) == len(surface.vertices)
    covered = silhouette(surface, mask.shape)
    assert intersection_over_union(covered, mask) >= 0.95
    # The front looks to the viewer, the back away, and both meet on the outline only.
    normals = solid.face_normals
    assert (normals[: surface.front_faces, 2] > -1e-9).all()
    assert (normals[surface.front_faces :, 2] < 1e-9).all()
    assert surface.vertices[:, 2].max() == pytest.approx(-surface.vertices[:, 2].min())


def test_random_masks_never_leave_a_gap() -> None:
    rng = np.random.default_rng(3)
    for _ in range(25):
        mask = ndimage.gaussian_filter(rng.normal(size=(48, 64)), rng.uniform(1, 4)) > 0
        labels, _ = ndimage.label(mask)
        mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
        field = smooth_field(mask)
        surface = close_surface(field, inflate(field).height)
        assert is_watertight(surface.faces)


def test_the_region_must_lie_inside_its_frame() -> None:
    with pytest.raises(ValueError, match="frame"):
        inflate(np.ones((10, 10)))
    with pytest.raises(ValueError, match="nothing"):
        inflate(np.zeros((10, 10)))


def test_the_texture_lies_where_the_photo_shows_it() -> None:
    mask = disc(64, 20, (30, 28))
    photo = np.zeros((256, 256, 3), dtype=np.uint8)
    photo[..., 0] = np.arange(256)[None, :]
    photo[..., 1] = np.arange(256)[:, None]
    photo[..., 2] = 40
    texture = cut_texture(photo, mask)
    points = np.array([[28.0, 30.0], [20.0, 34.0], [36.0, 25.0]])
    height, width, _ = texture.pixels.shape
    uv = texture.uv(points)
    read = texture.pixels[(uv[:, 1] * height).astype(int), (uv[:, 0] * width).astype(int)]
    # A grid pixel is 4 photo pixels wide.
    assert read[:, 0] == pytest.approx((points[:, 0] + 0.5) * 4, abs=3)
    assert read[:, 1] == pytest.approx((points[:, 1] + 0.5) * 4, abs=3)


def test_background_does_not_bleed_into_the_texture() -> None:
    mask = disc(64, 20)
    photo = np.full((256, 256, 3), [0, 0, 255], dtype=np.uint8)
    photo[disc(256, 82)] = [255, 0, 0]
    assert (cut_texture(photo, mask).pixels == [255, 0, 0]).all()
