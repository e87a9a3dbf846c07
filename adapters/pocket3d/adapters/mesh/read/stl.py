"""STL, binary by its count of triangles, or text."""

from __future__ import annotations

from .limits import Checked, MeshLimits, Refused
from .text_formats import check_text_stl

_HEADER, _TRIANGLE = 84, 50


def check_stl(data: bytes, limits: MeshLimits) -> Checked:
    """Judge an STL file.

    Raises:
        Refused: too large, empty, or of another length than its header claims.
    """
    if len(data) < _HEADER:
        return check_text_stl(data, limits)
    count = int.from_bytes(data[80:84], "little")
    if len(data) == _HEADER + count * _TRIANGLE:
        if count == 0:
            raise Refused("no surface: 0 triangles")
        # Its corners are merged after reading; how many vertices are left is seen then.
        limits.check_counts(0, count)
        return Checked(data, 3 * count, count)
    if b"endsolid" not in data.lower():
        raise Refused(
            f"its header announces {count:,} triangles, which take {_HEADER + count * _TRIANGLE:,} bytes;"
            f" it has {len(data):,}"
        )
    return check_text_stl(data, limits)
