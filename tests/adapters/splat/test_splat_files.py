"""Files of Gaussians: what is read of a sound one, and why an unsound one is given to nobody."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")

from pocket3d.adapters.splat import files
from pocket3d.adapters.splat.files import read_gaussians, settle_opacities
from pocket3d.adapters.splat.gaussians import BrokenSplat

NAMES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]
#: A red Gaussian at (1, 2, 3), half opaque, of size 0.1, not turned.
ROW = dict(zip(NAMES, [1, 2, 3, 0, 0, 0, 1.77, -1.77, -1.77, 0.0, *[float(np.log(0.1))] * 3, 1, 0, 0, 0], strict=True))

HEAD = b"ply\nformat binary_little_endian 1.0\n"


def ply(path: Path, *rows: dict[str, float], names: list[str] | None = None, count: int | None = None) -> Path:
    names = NAMES if names is None else names
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(rows) if count is None else count}"]
    lines += [*(f"property float {name}" for name in names), "end_header"]
    body = b"".join(struct.pack("<f", row[name]) for row in rows for name in names)
    path.write_bytes("\n".join(lines).encode() + b"\n" + body)
    return path


def splat(path: Path, **changed: object) -> Path:
    facts: dict[str, object] = {"position": (1, 2, 3), "scale": (0.1, 0.1, 0.1), "colour": (255, 0, 0, 128)}
    facts |= {"rotation": (255, 128, 128, 128), **changed}
    path.write_bytes(
        struct.pack("<3f3f4B4B", *facts["position"], *facts["scale"], *facts["colour"], *facts["rotation"])  # type: ignore[misc]
    )
    return path


def test_both_formats_say_the_same_of_the_same_gaussian(tmp_path: Path) -> None:
    for cloud in (read_gaussians(ply(tmp_path / "a.ply", ROW)), read_gaussians(splat(tmp_path / "a.splat"))):
        assert cloud.positions.tolist() == [[1, 2, 3]]
        assert cloud.scales == pytest.approx(np.full((1, 3), 0.1), abs=1e-6)
        assert cloud.colours == pytest.approx(np.array([[1, 0, 0]]), abs=1e-3)
        assert cloud.opacities == pytest.approx([0.5], abs=0.01)
        assert cloud.rotations == pytest.approx(np.array([[1, 0, 0, 0]]), abs=0.01)
    assert cloud.statistics() == {
        "gaussians": 1,
        "visible": 1,
        "bounds": [[1, 2, 3], [1, 2, 3]],
        "extents": [0, 0, 0],
        "largest_scale": 0.1,
    }


def test_bounds_and_what_is_visible_are_counted(tmp_path: Path) -> None:
    rows = [ROW, {**ROW, "x": -1, "opacity": -9.0}, {**ROW, "z": 5}]
    found = read_gaussians(ply(tmp_path / "a.ply", *rows)).statistics()
    assert (found["gaussians"], found["visible"], found["extents"]) == (3, 2, [2, 0, 2])


def test_further_properties_and_comments_do_no_harm(tmp_path: Path) -> None:
    path = ply(tmp_path / "a.ply", {**ROW, "f_rest_0": 0.5}, names=[*NAMES, "f_rest_0"])
    path.write_bytes(path.read_bytes().replace(b"element", b"comment of somebody\nelement", 1))
    assert len(read_gaussians(path).positions) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"x": float("nan")}, "1 of 2 Gaussians have positions that are not finite"),
        ({"y": float("inf")}, "positions that are not finite"),
        ({"y": 1e20}, "lies at 1e"),
        ({"scale_1": 200.0}, None),
        ({"scale_1": float("inf")}, "scales that are not finite"),
        ({"scale_1": float("-inf")}, "the smallest scale is 0"),
        ({"opacity": float("nan")}, "opacities that are not finite"),
        ({"f_dc_0": float("inf")}, "colours that are not finite"),
        ({"rot_0": 0.0}, "a rotation is all zeros"),
        ({"rot_3": float("nan")}, "rotations that are not finite"),
    ],
)
def test_numbers_that_no_viewer_can_draw_are_told(tmp_path: Path, row: dict[str, float], reason: str | None) -> None:
    path = ply(tmp_path / "a.ply", ROW, {**ROW, **row})
    if reason is None:
        assert len(read_gaussians(path).positions) == 2
        return
    with pytest.raises(BrokenSplat, match=reason):
        read_gaussians(path)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"scale": (0.1, -0.1, 0.1)}, "the smallest scale is -0.1"),
        ({"position": (float("nan"), 0, 0)}, "positions that are not finite"),
        ({"rotation": (128, 128, 128, 128)}, "a rotation is all zeros"),
    ],
)
def test_a_splat_is_judged_in_the_same_way(tmp_path: Path, changed: dict[str, object], reason: str) -> None:
    with pytest.raises(BrokenSplat, match=reason):
        read_gaussians(splat(tmp_path / "a.splat", **changed))


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"solid x\n", "no PLY"),
        (b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n", "no binary little-endian PLY"),
        (HEAD + b"element face 1\nend_header\n", "first element is not 'vertex'"),
        (HEAD + b"element vertex 1\nelement face 1\nend_header\n", "more than one"),
        (HEAD + b"element vertex -1\nend_header\n", "or no number"),
        (HEAD + b"element vertex 1\nproperty list uchar int x\nend_header\n", "floats"),
        (HEAD + b"element vertex 1\n" + 2 * b"property float x\n" + b"end_header\n", "twice"),
        (HEAD, "its header does not end"),
    ],
)
def test_a_header_of_something_else_is_told(tmp_path: Path, head: bytes, reason: str) -> None:
    (tmp_path / "a.ply").write_bytes(head)
    with pytest.raises(BrokenSplat, match=reason):
        read_gaussians(tmp_path / "a.ply")


def test_what_a_file_announces_is_held_against_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokenSplat, match=r"has 68 bytes of Gaussians, its header announces 68,000,000,000"):
        read_gaussians(ply(tmp_path / "a.ply", ROW, count=10**9))
    with pytest.raises(BrokenSplat, match="no multiple of 32"):
        read_gaussians(_cut(splat(tmp_path / "a.splat")))
    with pytest.raises(BrokenSplat, match="no Gaussians"):
        read_gaussians(ply(tmp_path / "b.ply"))
    with pytest.raises(BrokenSplat, match="f_dc_2 are missing"):
        read_gaussians(ply(tmp_path / "c.ply", ROW, names=[name for name in NAMES if name != "f_dc_2"]))
    with pytest.raises(BrokenSplat, match="was not written"):
        read_gaussians(tmp_path / "d.ply")
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(BrokenSplat, match="at most 10 are read"):
        read_gaussians(tmp_path / "c.ply")


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-1])
    return path


def test_endless_logits_of_opacity_become_the_largest_finite_ones(tmp_path: Path) -> None:
    rows = [{**ROW, "opacity": value} for value in (float("inf"), float("-inf"), 1.5)]
    path = ply(tmp_path / "a.ply", *rows)
    before = path.read_bytes()
    assert settle_opacities(path) == 2
    assert path.stat().st_size == len(before)
    assert read_gaussians(path).opacities == pytest.approx([1.0, 0.0, 0.8175745], abs=1e-6)
    settled = path.read_bytes()
    # Nothing else was touched, and there is nothing left to settle.
    assert sum(a != b for a, b in zip(before, settled, strict=True)) <= 8
    assert settle_opacities(path) == 0 and path.read_bytes() == settled
    assert settle_opacities(splat(tmp_path / "a.splat")) == 0
