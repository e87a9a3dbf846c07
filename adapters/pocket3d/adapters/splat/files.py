"""Reads the two file formats of Gaussians, and writes one again.

`.ply`: the binary PLY of Kerbl et al.'s reference implementation: one element `vertex` of floats, with the opacity as
its logit, the scales as their logarithms, and the colour as the constant term of spherical harmonics.

`.splat`: 32 bytes for each Gaussian, without a header: position and scales (float32), colour and opacity (RGBA,
8 bits), rotation (w, x, y, z, each as 128 + 128 q), as antimatter15/splat reads them.

What a file claims is held against its length before anything is decoded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pocket3d.contracts.bounds import decimal

from .gaussians import BrokenSplat, Gaussians

FORMATS = ("ply", "splat")
#: The largest cloud that is read: five times what any adapter here makes in bytes.
MAX_BYTES = 512 * 1024 * 1024
_MAX_HEADER = 16_384
#: The constant spherical harmonic, 1 / (2 sqrt(pi)).
_SH_CONSTANT = 0.28209479177387814
#: The largest logit whose sigmoid differs from 1 in single precision.
_MAX_LOGIT = 16.0
_POSITION = ("x", "y", "z")
_SCALE = ("scale_0", "scale_1", "scale_2")
_ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
_COLOUR = ("f_dc_0", "f_dc_1", "f_dc_2")
_RECORD = np.dtype([("position", "<f4", 3), ("scale", "<f4", 3), ("colour", "u1", 4), ("rotation", "u1", 4)])


def read_gaussians(path: Path) -> Gaussians:
    """Read and check a `.ply` or `.splat` file.

    Raises:
        BrokenSplat: it is not there, too large, no such file, cut off, or what is in it is not sound.
    """
    if not path.is_file():
        raise BrokenSplat("it was not written")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise BrokenSplat(f"it has {size:,} bytes, at most {MAX_BYTES:,} are read")
    data = path.read_bytes()
    # Numbers out of range are told below, by name.
    with np.errstate(all="ignore"):
        found = _from_splat(data) if path.suffix.lower() == ".splat" else _from_ply(*_ply_table(data))
    found.check()
    return found


def settle_opacities(path: Path) -> int:
    """Write a PLY again whose opacities are infinite, with the largest finite ones in their place.

    A network in half precision gives opacities of exactly 0 and 1, whose logits are infinite; viewers differ in what
    they make of those.

    Returns:
        how many they were. None are looked for in a `.splat`, which has none.

    Raises:
        BrokenSplat: no such file.
    """
    if path.suffix.lower() != ".ply":
        return 0
    data = path.read_bytes()
    table, _ = _ply_table(data)
    endless = np.isinf(table["opacity"])
    if endless.any():
        settled = table.copy()
        settled["opacity"] = np.clip(table["opacity"], -_MAX_LOGIT, _MAX_LOGIT)
        path.write_bytes(data[: len(data) - table.nbytes] + settled.tobytes())
    return int(endless.sum())


def _from_splat(data: bytes) -> Gaussians:
    if len(data) % _RECORD.itemsize:
        raise BrokenSplat(f"{len(data):,} bytes are no multiple of {_RECORD.itemsize}: it is cut off, or no .splat")
    table = np.frombuffer(data, dtype=_RECORD)
    colour = table["colour"].astype(np.float64) / 255
    return Gaussians(
        positions=table["position"].astype(np.float64),
        scales=table["scale"].astype(np.float64),
        rotations=(table["rotation"].astype(np.float64) - 128) / 128,
        colours=colour[:, :3],
        opacities=colour[:, 3],
    )


def _from_ply(table: Any, names: list[str]) -> Gaussians:
    missing = [name for name in (*_POSITION, *_SCALE, *_ROTATION, *_COLOUR, "opacity") if name not in names]
    if missing:
        raise BrokenSplat(f"it is no PLY of Gaussians: the properties {', '.join(missing)} are missing")

    def columns(chosen: tuple[str, ...]) -> Any:
        return np.stack([table[name].astype(np.float64) for name in chosen], axis=1)

    return Gaussians(
        positions=columns(_POSITION),
        scales=np.exp(columns(_SCALE)),
        rotations=columns(_ROTATION),
        colours=columns(_COLOUR) * _SH_CONSTANT + 0.5,
        opacities=1 / (1 + np.exp(-table["opacity"].astype(np.float64))),
    )


def _ply_table(data: bytes) -> tuple[Any, list[str]]:
    """The rows of a binary PLY of one element `vertex` whose properties are all floats, and their names."""
    end = data.find(b"end_header\n", 0, _MAX_HEADER)
    if not data.startswith(b"ply\n") or end < 0:
        raise BrokenSplat("it is no PLY: it does not begin with a line 'ply', or its header does not end")
    words = [line.split() for line in data[:end].decode("ascii", "replace").splitlines()[1:]]
    words = [line for line in words if line and line[0] != "comment"]
    if words[:1] != [["format", "binary_little_endian", "1.0"]]:
        raise BrokenSplat("it is no binary little-endian PLY")
    if len(words) < 2 or words[1][:2] != ["element", "vertex"] or len(words[1]) != 3:
        raise BrokenSplat("its first element is not 'vertex'")
    count = decimal(words[1][2])
    names = [line[-1] for line in words[2:]]
    if count is None or any(len(line) != 3 or line[:2] != ["property", "float"] for line in words[2:]):
        raise BrokenSplat("its header has more than one element of floats, or no number of them")
    if len(set(names)) != len(names):
        raise BrokenSplat("its header names a property twice")
    kind = np.dtype([(name, "<f4") for name in names])
    body = len(data) - (end + len(b"end_header\n"))
    if body != count * kind.itemsize:
        raise BrokenSplat(f"it has {body:,} bytes of Gaussians, its header announces {count * kind.itemsize:,}")
    return np.frombuffer(data, dtype=kind, offset=len(data) - body), names
