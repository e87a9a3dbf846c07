"""Subjects with holes, cut off by the frame, small ones, and those that a mask or a box points out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
np = pytest.importorskip("numpy")
pytest.importorskip("scipy")
trimesh = pytest.importorskip("trimesh")

from PIL import Image, ImageDraw
from scipy import ndimage

from pocket3d.adapters.authoring.input_checks import mask_file
from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.weight_free.silhouette.adapter import SilhouetteImageToMeshAdapter
from pocket3d.adapters.weight_free.silhouette.confidence import edge_contrast, judge, touched_sides
from pocket3d.adapters.weight_free.silhouette.mask import find_foreground
from pocket3d.adapters.weight_free.silhouette.openings import find_openings
from pocket3d.adapters.weight_free.silhouette.options import PhotoOptions
from pocket3d.adapters.weight_free.silhouette.photo import Photo, read_mask, visible_colours
from pocket3d.adapters.weight_free.silhouette.saliency import srgb_to_lab
from support.adapter_run import run
from support.photo_making import disc, overlap
from support.silhouettes import measured
from support.subject_pictures import picture

pytestmark = pytest.mark.torch

RING = Path(__file__).resolve().parents[3] / "shared" / "cases" / "ring.png"
SMALL: dict[str, Any] = {"resolution": 96, "texture_resolution": 128}


@pytest.fixture(scope="module")
def adapter() -> SilhouetteImageToMeshAdapter:
    return SilhouetteImageToMeshAdapter()


def euler_number(made: dict[str, Any]) -> int:
    mesh = trimesh.load(made["output_mesh_path"], force="mesh", process=False)
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    assert whole.is_watertight
    return int(whole.euler_number)


# ---------------------------------------------------------------- silhouettes


def test_silhouettes_with_holes_agree_with_known_masks() -> None:
    pictures = [
        picture("ring", "plain", (96, 96), 0),
        picture("mug", "clutter", (96, 128), 14),
        picture("chair", "clutter", (128, 96), 2),
        picture("eight", "boards", (96, 96), 3),
        picture("disc", "noise", (96, 128), 3, (0.0, 0.45)),
        picture("bottle", "gradient", (32, 32), 36),
    ]
    found = [measured(each, longest=128) for each in pictures]
    assert np.mean([each.overlap for each in found]) >= 0.97
    assert [each.holes for each in found] == [each.holes for each in pictures]


@pytest.mark.parametrize("alpha", [False, True])
def test_a_ring_becomes_a_torus(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path, alpha: bool) -> None:
    made_of = picture("ring", "plain", (100, 100))
    rgba = np.dstack([made_of.rgb, np.where(made_of.truth, 255, 0).astype(np.uint8)])
    Image.fromarray(rgba if alpha else made_of.rgb).save(tmp_path / "ring.png")
    made = run(adapter, tmp_path / "out", image_path=str(tmp_path / "ring.png"), **SMALL)
    assert euler_number(made) == 0
    info = made["generation_info"]
    assert info["confidence"] == ("high" if alpha else "medium")
    assert alpha or "an opening shows what looks like the background" in info["warnings"][0]


@pytest.mark.skipif(not RING.is_file(), reason="the shared cases are not here")
def test_the_ring_of_the_report_becomes_a_torus(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    assert euler_number(run(adapter, tmp_path, image_path=str(RING), **SMALL)) == 0


# ---------------------------------------------------------------- what is no opening


def _lab(rgb: Any) -> Any:
    return srgb_to_lab(np.asarray(rgb) / 255)


def test_a_glint_is_no_opening() -> None:
    y, x = np.mgrid[0:96, 0:96]
    mask = np.hypot(y - 48, x - 48) <= 36
    glint = np.exp(-(((y - 38) ** 2 + (x - 40) ** 2) / (2 * 7.0**2)))[..., None]
    ball = np.array([170, 30, 30]) * (1 - glint) + np.array([236, 236, 236]) * glint
    lab = _lab(np.where(mask[..., None], ball, 236.0) + np.random.default_rng(0).normal(scale=2, size=(96, 96, 3)))
    assert not find_openings(lab, mask).any()
    # The same place cut out sharply is one.
    hole = np.hypot(y - 38, x - 40) <= 10
    ring = np.where((mask & ~hole)[..., None], [170.0, 30, 30], 236.0)
    for noise in (0, 2):
        lab = _lab(ring + np.random.default_rng(0).normal(scale=noise, size=(96, 96, 3)))
        assert overlap(find_openings(lab, mask), hole) > 0.85


def test_a_line_drawing_is_filled() -> None:
    canvas = Image.new("L", (96, 96), 255)
    ImageDraw.Draw(canvas).ellipse([18, 18, 78, 78], outline=0, width=2)
    mask = disc(96, 31, (48, 48))
    assert not find_openings(_lab(np.repeat(np.asarray(canvas)[..., None], 3, axis=2)), mask).any()


def test_another_colour_inside_is_no_opening() -> None:
    mask = disc(96, 36)
    rgb = np.where(mask[..., None], [170.0, 60, 40], [225.0, 225, 225])
    rgb[disc(96, 14)] = [150, 190, 225]
    assert not find_openings(_lab(rgb + np.random.default_rng(0).normal(scale=2, size=rgb.shape)), mask).any()


# ---------------------------------------------------------------- transparency


def test_colours_under_transparent_pixels_are_not_seen() -> None:
    rgb = np.zeros((60, 60, 3), dtype=np.uint8)
    rgb[..., 1] = 255
    opaque = disc(60, 20)
    rgb[opaque] = (200, 40, 40)
    alpha = np.where(opaque, 255, 0).astype(np.uint8)
    # A soft rim, into which the green below is mixed.
    rim = ndimage.binary_dilation(opaque, iterations=2) & ~opaque
    alpha[rim], rgb[rim] = 140, (100, 150, 20)
    seen = visible_colours(Photo(rgb, alpha, (60, 60)))
    assert (seen == (200, 40, 40)).all()


def test_the_sides_have_visible_colours(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    rgba = np.full((100, 100, 4), (0, 255, 0, 0), dtype=np.uint8)
    rgba[disc(100, 34)] = (200, 40, 40, 255)
    Image.fromarray(rgba).save(tmp_path / "disc.png")
    made = run(adapter, tmp_path / "out", image_path=str(tmp_path / "disc.png"), **SMALL)
    mesh = trimesh.load(made["output_mesh_path"], force="mesh", process=False)
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
    assert texture[..., 1].max() <= 45


# ---------------------------------------------------------------- mask and box


def _two_discs() -> Any:
    rgb = np.full((90, 180, 3), 230, dtype=np.uint8)
    y, x = np.mgrid[0:90, 0:180]
    rgb[np.hypot(y - 45, x - 50) <= 30] = (180, 50, 40)
    rgb[np.hypot(y - 45, x - 135) <= 22] = (40, 70, 160)
    return rgb


def test_a_box_chooses_the_subject() -> None:
    rgb = _two_discs() / 255
    whole, right = find_foreground(rgb, None), find_foreground(rgb, None, box=(0.58, 0.0, 1.0, 1.0))
    assert whole.mask[45, 50] and not whole.mask[45, 135]
    assert "several pieces stand out" in whole.confidence.warnings[0] and whole.confidence.level == "medium"
    assert right.method == "grabcut-box" and not right.mask[:, :100].any()
    assert overlap(right.mask, np.hypot(*(np.mgrid[0:90, 0:180] - np.array([45, 135])[:, None, None])) <= 22) > 0.95


def test_a_mask_is_taken_at_its_word(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    Image.fromarray(_two_discs()).save(tmp_path / "photo.png")
    wanted = np.zeros((90, 180), dtype=np.uint8)
    wanted[20:70, 100:160] = 255
    wanted[40:44, 120:124] = 0
    Image.fromarray(wanted).resize((360, 180)).save(tmp_path / "mask.png")
    shape = read_mask(tmp_path / "mask.png", (90, 180), (180, 90))
    assert overlap(shape, wanted > 127) > 0.97
    names: dict[str, Any] = {"image_path": str(tmp_path / "photo.png"), "mask_path": str(tmp_path / "mask.png")}
    made = run(adapter, tmp_path / "out", **names, resolution=180, texture_resolution=180)
    assert made["generation_info"]["mask_method"] == "mask" and made["generation_info"]["confidence"] == "high"
    assert euler_number(made) == 0, "even a small hole is meant"
    cut = np.dstack([wanted, wanted, wanted, wanted])
    Image.fromarray(cut).save(tmp_path / "cut.png")
    assert np.array_equal(read_mask(tmp_path / "cut.png", (90, 180), (180, 90)), wanted > 127)


def test_a_mask_of_other_proportions_is_refused(tmp_path: Path) -> None:
    Image.new("L", (100, 100), 255).save(tmp_path / "mask.png")
    with pytest.raises(InvalidInput, match="other proportions") as refused:
        read_mask(tmp_path / "mask.png", (90, 180), (180, 90))
    assert refused.value.field == "mask_path"
    with pytest.raises(InvalidInput, match="unsupported format"):
        mask_file({"mask_path": "mask.psd"}, ("png",))
    assert mask_file({}, ("png",)) is None


@pytest.mark.parametrize("box", [[0, 0, 1], [5, 0, 5, 9], [0.5, 0.1, 0.2, 0.9], [0, 0, -1, 4], "left", [0, 0, 0, 0]])
def test_a_box_that_is_none_is_refused(box: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        PhotoOptions.read({"image_path": "a.png", "box": box})
    assert refused.value.field == "box"


def test_a_box_is_in_pixels_or_in_shares(adapter: SilhouetteImageToMeshAdapter, tmp_path: Path) -> None:
    Image.fromarray(_two_discs()).save(tmp_path / "photo.png")
    photo = str(tmp_path / "photo.png")
    infos = [
        run(adapter, tmp_path / "out", image_path=photo, box=box, **SMALL)["generation_info"]
        for box in ([104, 0, 180, 90], [104 / 180, 0, 1, 1])
    ]
    assert infos[0]["extents_m"] == infos[1]["extents_m"] and infos[0]["mask_fraction"] < 0.12
    with pytest.raises(InvalidInput, match="180 x 90 pixels") as refused:
        run(adapter, tmp_path / "out", image_path=photo, box=[0, 0, 181, 90], **SMALL)
    assert refused.value.field == "box"


# ---------------------------------------------------------------- confidence


def test_doubts_are_told() -> None:
    mask = disc(80, 25)
    clear = _lab(np.where(mask[..., None], [180.0, 50, 40], [230.0, 230, 230]))
    sure = judge(mask, clear, method="grabcut", component_share=1.0, openings=0, given=False)
    assert sure == ("high", [])
    faint = _lab(np.where(mask[..., None], [226.0, 226, 226], [230.0, 230, 230]))
    assert edge_contrast(mask, faint) < 3 < 30 < edge_contrast(mask, clear)
    doubtful = judge(mask, faint, method="grabcut", component_share=1.0, openings=0, given=False)
    assert doubtful.level == "low" and "hardly differs" in doubtful.warnings[0]
    assert judge(mask, faint, method="alpha", component_share=1.0, openings=0, given=True).level == "high"
    speckled = np.random.default_rng(0).normal([120, 120, 120], 40, (80, 80, 3)).clip(0, 255)
    speckled[disc(80, 12)] = (220, 60, 60)
    shared = judge(mask, _lab(speckled), method="grabcut", component_share=1.0, openings=0, given=False)
    assert shared.level == "low" and any("share colours" in each for each in shared.warnings)
    low = disc(80, 25, (70, 40))
    assert touched_sides(low) == ["lower"]
    cut = judge(low, clear, method="grabcut", component_share=1.0, openings=2, given=False)
    assert cut.level == "low" or "lower edge" in cut.warnings[-1]
    assert any("2 openings" in each for each in cut.warnings)
