"""The picture of Gaussians: what is in front hides what is behind, and each is where and as large as it is."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("PIL")

from pocket3d.adapters.splat.gaussians import Gaussians
from pocket3d.adapters.splat.thumbnail import draw_gaussians

FRONT = np.eye(3)
RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def cloud(*rows: tuple[tuple[float, ...], float, tuple[float, ...], float]) -> Gaussians:
    """Position, scale, colour and opacity of each."""
    places, scales, colours, opacities = zip(*rows, strict=True)
    return Gaussians(
        np.array(places, dtype=float),
        np.repeat(np.array(scales, dtype=float)[:, None], 3, axis=1),
        np.tile([1.0, 0.0, 0.0, 0.0], (len(rows), 1)),
        np.array(colours, dtype=float),
        np.array(opacities, dtype=float),
    )


def plane(
    z: float, colour: tuple[float, ...], opacity: float
) -> list[tuple[tuple[float, ...], float, tuple[float, ...], float]]:
    """A square of 41 x 41 Gaussians, seen from +Z."""
    steps = np.linspace(-1, 1, 41)
    return [((x, y, z), 0.03, colour, opacity) for x in steps for y in steps]  # fmt: skip


def middle(picture: object) -> list[int]:
    return np.asarray(picture)[118:138, 118:138].reshape(-1, 3).mean(axis=0).round().tolist()


def test_what_is_in_front_hides_what_is_behind_in_whatever_order_they_come() -> None:
    front, back = plane(0.5, RED, 1.0), plane(-0.5, BLUE, 1.0)
    for rows in (front + back, back + front):
        red, _, blue = middle(draw_gaussians(cloud(*rows), FRONT))
        assert red > 240 and blue < 15
    # Turned by half about the upright axis, the other one is in front.
    red, _, blue = middle(draw_gaussians(cloud(*front, *back), np.diag([-1.0, 1.0, -1.0])))
    assert blue > 240 and red < 15


def test_what_is_half_transparent_lets_the_rest_through() -> None:
    red, _, blue = middle(draw_gaussians(cloud(*plane(0.5, RED, 0.1), *plane(-0.5, BLUE, 1.0)), FRONT))
    assert 40 < red < 200 and 60 < blue < 230


def test_up_is_up_and_a_stray_does_not_make_the_subject_a_speck() -> None:
    rows = plane(0.0, RED, 1.0)
    rows += [((x, y + 1.2, z), s, BLUE, o) for (x, y, z), s, _, o in plane(0.0, BLUE, 1.0) if y > 0.5]
    pixels = np.asarray(draw_gaussians(cloud(*rows, ((900.0, 0.0, 0.0), 0.03, RED, 1.0)), FRONT)).astype(int)
    reds = np.argwhere((pixels[..., 0] > 200) & (pixels[..., 2] < 60))
    blues = np.argwhere((pixels[..., 2] > 200) & (pixels[..., 0] < 60))
    assert len(reds) > 5000 and len(blues) > 1000
    assert blues[:, 0].mean() < reds[:, 0].mean()


def test_many_large_blots_cost_no_more_than_the_picture_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    from pocket3d.adapters.splat import thumbnail

    monkeypatch.setattr(thumbnail, "_MOST_PIXELS", 20_000)
    rows = plane(0.0, RED, 1.0)
    _, owner, _ = thumbnail._blots(np.full((1681, 2), 128.0), np.full(1681, 8.0), np.ones(1681), 256)
    assert len(owner) <= 20_000
    red, _, blue = middle(draw_gaussians(cloud(*rows), FRONT))
    assert red > blue


def test_nothing_visible_is_an_empty_picture_and_no_error() -> None:
    pixels = np.asarray(draw_gaussians(cloud(((0.0, 0.0, 0.0), 0.1, RED, 0.0)), FRONT))
    assert pixels.shape == (256, 256, 3) and np.ptp(pixels.reshape(256, 256, 3), axis=1).max() == 0
