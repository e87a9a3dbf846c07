"""STL, binary or text: triangles, colours behind them as Magics and VisCAM write them, and names of solids.

Magics: a header with `COLOR=` and four bytes, and 15 bits for each triangle, red lowest, the highest bit 0 where they
hold. VisCAM: no such header, blue lowest, the highest bit 1 where they hold.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..weld import weld_vertices
from .found import Found, FoundPart
from .limits import MeshLimits, Refused
from .text_lines import TextLines, plain_text

_HEADER, _TRIANGLE = 84, 50
_MAX_SOLIDS = 20_000
_ROW = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("bits", "<u2")])
_AGAIN = "export or copy it again"
_UNCOLOURED = (0.72, 0.72, 0.74, 1.0)


def read_stl(data: bytes, limits: MeshLimits) -> Found:
    """Read an STL file. Equal corners of its triangles become one vertex.

    Raises:
        Refused: too large, empty, broken off, or no STL.
    """
    if len(data) < _HEADER or (len(data) != _length(data) and _is_text(data)):
        return _read_text(data, limits)
    return _read_binary(data, limits)


def _length(data: bytes) -> int:
    return _HEADER + int.from_bytes(data[80:84], "little") * _TRIANGLE


def _is_text(data: bytes) -> bool:
    start = plain_text(data[:4096]).lstrip().lower()
    return start.startswith(b"solid") or b"facet" in start or b"vertex" in start


def _read_binary(data: bytes, limits: MeshLimits) -> Found:
    announced = int.from_bytes(data[80:84], "little")
    there, rest = divmod(len(data) - _HEADER, _TRIANGLE)
    count = announced
    ignored: list[str] = []
    if announced > there:
        raise Refused(
            f"it ends early, or is no STL file: its header announces {announced:,} triangles, {there:,} are there;"
            f" {_AGAIN}"
        )
    if announced < there and rest == 0 and (announced == 0 or _sound(data, announced)):
        count = there
        ignored.append(f"the count in its header, {announced:,}: all {there:,} triangles that are there are read")
    elif len(data) > _length(data):
        ignored.append(f"{len(data) - _length(data):,} bytes behind the last of its {announced:,} triangles")
    if count == 0:
        raise Refused("no surface: 0 triangles")
    limits.check_counts(0, count)
    rows = np.frombuffer(data, dtype=_ROW, count=count, offset=_HEADER)
    corners = rows["corners"].reshape(-1, 3)
    if not np.isfinite(corners).all():
        raise Refused("it has coordinates that are not finite numbers, or is no STL file")
    return Found([_part("mesh", corners, _colours(data[:80], rows["bits"]), limits)], tuple(ignored))


def _sound(data: bytes, announced: int) -> bool:
    """Whether what stands behind the announced triangles are triangles: finite, and not of another size."""
    corners = np.frombuffer(data, dtype=_ROW, offset=_HEADER)["corners"]
    # What is there may be anything.
    with np.errstate(all="ignore"):
        sizes = np.abs(corners).astype(np.float64)
        return bool(np.isfinite(sizes).all() and 0 < sizes[announced:].max() <= 1000 * sizes[:announced].max())


def _colours(header: bytes, bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64] | None:
    """(F, 4) sRGB, or None if the file has none."""
    at = header.find(b"COLOR=")
    magics = 0 <= at <= len(header) - 10
    own = (bits & 0x8000) == 0 if magics else (bits & 0x8000) != 0
    if not magics and not own.any():
        return None
    lowest, middle, highest = ((bits >> shift & 31) / 31.0 for shift in (0, 5, 10))
    red, blue = (lowest, highest) if magics else (highest, lowest)
    given = np.stack([red, middle, blue, np.ones(len(bits))], axis=1)
    whole = np.array(list(header[at + 6 : at + 10])) / 255 if magics else np.array(_UNCOLOURED)
    if magics and not bits.any():
        # Nothing stands behind the triangles at all: the whole has one colour.
        own = np.zeros(len(bits), dtype=bool)
    return np.where(own[:, None], given, whole)


def _part(
    name: str, corners: npt.NDArray[np.floating], colours: npt.NDArray[np.float64] | None, limits: MeshLimits
) -> FoundPart:
    place, first = weld_vertices(corners)
    limits.check_counts(len(first), 0)
    vertices = np.asarray(corners[first], dtype=np.float64)
    return FoundPart(name, vertices, place.reshape(-1, 3).astype(np.int64), face_colours=colours)


def _read_text(data: bytes, limits: MeshLimits) -> Found:
    lines = TextLines(plain_text(data))
    which = lines.begin_with(b"vertex")
    count = int(which.sum())
    if count == 0:
        if lines.begin_with(b"endsolid").any():
            raise Refused("no surface: 0 triangles")
        raise Refused("no STL file: neither a binary header that fits its length nor a text with vertices")
    begins = np.flatnonzero(lines.begin_with(b"solid"))
    ends = int(lines.begin_with(b"endsolid").sum())
    if max(len(begins), ends) > _MAX_SOLIDS:
        raise Refused(f"more than {_MAX_SOLIDS:,} solids")
    limits.check_counts(0, count // 3)
    if count % 3:
        raise Refused(f"it is broken off: {count} vertices are not three for each triangle; {_AGAIN}")
    numbers = lines.numbers(which, len(b"vertex"))
    if int(numbers.counts.min()) < 3:
        line = int(np.flatnonzero(which)[int(numbers.counts.argmin())])
        raise Refused(f"line {line + 1}: a vertex needs 3 numbers, got {int(numbers.counts.min())}; {_AGAIN}")
    corners = numbers.columns(0, 3)
    if not np.isfinite(corners).all():
        raise Refused("it has coordinates that are not finite numbers")
    ignored = [] if ends else ["the missing endsolid line: the file may be broken off behind its last triangle"]
    # The solid of each triangle.
    solid = np.searchsorted(begins, np.flatnonzero(which)[::3])
    found = []
    for number in np.unique(solid).tolist():
        chosen = np.repeat(solid == number, 3)
        name = lines.text(int(begins[number - 1]))[5:].strip().decode("utf-8", "replace") if number else ""
        found.append(_part(name or "mesh", corners[chosen], None, limits))
    return Found(found, tuple(ignored))
