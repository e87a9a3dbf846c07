"""STL: binary, judged by its count of triangles, or text, judged by its words."""

from __future__ import annotations

import re

from .limits import Checked, MeshLimits, Refused
from .text_formats import MAX_GROUPS, plain_text

_HEADER, _TRIANGLE = 84, 50


def check_stl(data: bytes, limits: MeshLimits) -> Checked:
    """Judge an STL file.

    Raises:
        Refused: too large, empty, broken off, or of another length than its header claims.
    """
    count = int.from_bytes(data[80:84], "little")
    long = _HEADER + count * _TRIANGLE
    if len(data) >= _HEADER and len(data) == long:
        if count == 0:
            raise Refused("no surface: 0 triangles")
        # Its corners are merged after reading; how many vertices are left is seen then.
        limits.check_counts(0, count)
        return Checked(data, count)
    if len(data) >= _HEADER and b"endsolid" not in data.lower():
        raise Refused(f"its header announces {count:,} triangles, which take {long:,} bytes; it has {len(data):,}")
    data = plain_text(data)
    lower = data.lower()
    vertices = len(re.findall(rb"\bvertex\s", lower))
    solids = lower.count(b"endsolid")
    if vertices == 0:
        raise Refused("no STL file: neither a binary header that fits its length nor a text with vertices")
    if vertices % 3 or solids == 0:
        raise Refused(f"it is broken off: {vertices} vertices, {solids} times endsolid")
    if solids > MAX_GROUPS:
        raise Refused(f"more than {MAX_GROUPS:,} solids")
    limits.check_counts(0, vertices // 3)
    return Checked(data, vertices // 3)
