"""Foreground masks: on pictures whose truth is known, and on the photographs of the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("scipy")

from pocket3d.adapters.weight_free.silhouette.grabcut import Mixture, grabcut, threshold
from pocket3d.adapters.weight_free.silhouette.mask import (
    NoSubject,
    fill_small_holes,
    find_foreground,
    largest_component,
)
from pocket3d.adapters.weight_free.silhouette.photo import read_photo, resized
from pocket3d.adapters.weight_free.silhouette.saliency import saliency, slic, srgb_to_lab
from support.photo_making import disc, face_that_fills_the_frame, noisy_scene, overlap

pytestmark = pytest.mark.torch

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


@pytest.mark.parametrize("seed", range(4))
def test_a_subject_on_clutter_is_found(seed: int) -> None:
    picture, truth = noisy_scene(seed)
    found = find_foreground(picture / 255, None)
    assert overlap(found.mask, truth) > 0.95
    assert found.method == "grabcut"
    assert "Rother" in found.description
    assert "Zhu" in found.description
    assert found.fraction == pytest.approx(found.mask.mean())


def test_the_same_seed_gives_the_same_mask() -> None:
    picture, _ = noisy_scene()
    one, other = (find_foreground(picture / 255, None, seed=3).mask for _ in range(2))
    assert np.array_equal(one, other)


def test_grey_pictures_work() -> None:
    picture, truth = noisy_scene()
    grey = np.repeat(picture[..., :1], 3, axis=-1)
    assert overlap(find_foreground(grey / 255, None).mask, truth) > 0.9


def _photo(name: str) -> Any:
    return resized(read_photo(PHOTOS / name, 1024).rgb, 192)


def test_the_cup_is_cut_from_its_table() -> None:
    mask = find_foreground(_photo("coffee.png"), None).mask
    height, width = mask.shape
    # Seen by eye: saucer and cup fill the middle; corners and the strip at the left are table.
    for row, column in ((0.5, 0.5), (0.3, 0.45), (0.7, 0.35), (0.85, 0.5), (0.7, 0.6)):
        assert mask[int(row * height), int(column * width)], (row, column)
    assert not mask[: height // 8, : width // 5].any()
    assert not mask[:, : width // 16].any()
    assert not mask[:, -width // 8 :].any()
    assert 0.42 < mask.mean() < 0.52


def test_the_cameraman_is_cut_from_grass_and_sky() -> None:
    mask = find_foreground(_photo("camera.png"), None).mask
    height, width = mask.shape
    for row, column in ((0.2, 0.42), (0.45, 0.25), (0.6, 0.15), (0.8, 0.15), (0.45, 0.45)):
        assert mask[int(row * height), int(column * width)], (row, column)
    assert not mask[: height // 10].any()
    assert not mask[:, -width // 4 :].any()
    assert 0.25 < mask.mean() < 0.38


def test_alpha_wins_where_it_says_something() -> None:
    picture, _ = noisy_scene()
    alpha = np.zeros(picture.shape[:2])
    alpha[20:60, 30:90] = 1
    found = find_foreground(picture / 255, alpha)
    assert found.method == "alpha"
    assert np.array_equal(found.mask, alpha > 0.5)
    assert find_foreground(picture / 255, alpha, "grabcut").method == "grabcut"


def test_a_subject_that_fills_the_frame_is_taken_from_the_middle() -> None:
    found = find_foreground(face_that_fills_the_frame() / 255, None)
    assert found.method == "grabcut-centre"
    assert found.fraction > 0.2
    height, width = found.mask.shape
    assert found.mask[int(0.35 * height) : int(0.7 * height), int(0.25 * width) : int(0.6 * width)].mean() > 0.9


def test_scattered_spots_are_no_subject() -> None:
    rng = np.random.default_rng(1)
    picture = np.full((150, 220, 3), 120.0)
    yy, xx = np.mgrid[0:150, 0:220]
    for row, column in ((40, 60), (42, 150), (100, 70), (105, 160), (70, 110)):
        picture[((yy - row) ** 2 + (xx - column) ** 2) <= 14**2] = [30, 160, 60]
    picture = (picture + rng.normal(scale=5, size=picture.shape)).clip(0, 255)
    with pytest.raises(NoSubject, match="only scattered spots"):
        find_foreground(picture / 255, None)
    # Who asks for the method by name gets its largest piece.
    assert find_foreground(picture / 255, None, "grabcut").component_share < 0.3


@pytest.mark.parametrize("kind", ["even", "noise", "all", "none"])
def test_nothing_to_find_is_said_clearly(kind: str) -> None:
    rng = np.random.default_rng(0)
    picture = np.full((96, 128, 3), 0.5)
    alpha = None
    if kind == "noise":
        picture = rng.uniform(size=picture.shape)
    if kind == "all":
        alpha = np.ones(picture.shape[:2])
        alpha[0, :2] = 0
    if kind == "none":
        alpha = np.zeros(picture.shape[:2])
        alpha[5:10, 5:10] = 1
    with pytest.raises(NoSubject, match=r"even colour|at least 1 %|nothing is background"):
        find_foreground(picture, alpha)


def test_alpha_without_a_channel_is_refused() -> None:
    with pytest.raises(NoSubject, match="no alpha channel"):
        find_foreground(noisy_scene()[0] / 255, None, "alpha")


def test_only_the_largest_piece_stays_and_small_holes_close() -> None:
    mask = disc(100, 30)
    mask |= disc(100, 6, (10, 10))
    mask[48:50, 48:50] = False
    mask[35:47, 55:67] = False
    piece, share = largest_component(mask)
    assert not piece[10, 10]
    assert share == pytest.approx(piece.sum() / mask.sum())
    filled = fill_small_holes(piece)
    assert filled[48, 48]
    assert not filled[40, 60]
    open_bay = np.zeros((20, 20), dtype=bool)
    open_bay[2:18, 2:18] = True
    open_bay[10, 10:] = False
    assert not fill_small_holes(open_bay)[10, 12]


def test_superpixels_are_a_connected_partition() -> None:
    from scipy import ndimage

    picture, _ = noisy_scene()
    regions = slic(srgb_to_lab(picture / 255), wanted=200)
    assert 120 < regions.total < 300
    assert regions.sizes.sum() == picture.shape[0] * picture.shape[1]
    # The rare piece that joined a neighbour across a gap aside, each label is one piece.
    torn = sum(ndimage.label(regions.labels == k)[1] > 1 for k in range(regions.total))
    assert torn <= 0.05 * regions.total
    assert (regions.edges[:, 0] < regions.edges[:, 1]).all()


def test_saliency_is_high_on_the_subject() -> None:
    picture, truth = noisy_scene()
    regions = slic(srgb_to_lab(picture / 255))
    values = saliency(regions, truth.shape)[regions.labels]
    assert values[truth].mean() > 0.5
    assert values[~truth].mean() < 0.15


def test_lab_of_known_colours() -> None:
    lab = srgb_to_lab(np.array([[1.0, 1, 1], [0, 0, 0], [1, 0, 0]]))
    assert lab == pytest.approx(np.array([[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]]), abs=0.1)


def test_a_mixture_tells_its_own_from_others() -> None:
    rng = np.random.default_rng(0)
    own = np.concatenate([rng.normal(0, 1, (400, 3)), rng.normal(30, 2, (400, 3))])
    model = Mixture(own, rng)
    near, far = model.log_likelihood(np.array([[0.0, 0, 0], [30, 30, 30]])), model.log_likelihood(np.full((1, 3), 15.0))
    assert near.min() > far.max() + 10


def test_the_cut_keeps_certain_background() -> None:
    features = np.full((40, 40, 3), 50.0)
    features[10:30, 10:30] = [60, 40, 40]
    prior = np.full((40, 40), 0.0)
    prior[8:32, 8:32] = 0.8
    mask = grabcut(features, prior)
    assert np.array_equal(mask, features[..., 1] == 40)


def test_otsu_parts_two_heaps() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.2, 0.03, 500), rng.normal(0.8, 0.03, 300)])
    assert ((values > threshold(values)) == (np.arange(800) >= 500)).all()
