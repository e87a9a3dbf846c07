"""PLY: the header's element counts against the limits and the file's length.

The parser (trimesh) gets a header of our own making: without comments, which may be in any encoding and name other
files, and with lines that end with LF.
"""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.bounds import decimal

from .limits import Checked, MeshLimits, Refused
from .text_formats import plain_text

_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16", "float16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64", "int64", "uint64"), 8),
}
_MAX_HEADER = 65_536


class _Header(NamedTuple):
    """The statements of a header."""

    #: ascii, binary_little_endian or binary_big_endian.
    form: str
    #: Rows of each element.
    counts: dict[str, int]
    #: Fewest bytes that all rows take in a binary file.
    least: int
    #: The lines of elements and properties.
    lines: list[str]
    #: What it refers to outside of the file, for people.
    ignored: tuple[str, ...]


def check_ply(data: bytes, limits: MeshLimits) -> Checked:
    """Judge a PLY file by its header.

    Raises:
        Refused: no PLY, too large, or shorter than its header claims.
    """
    ending = next((each for each in (b"\n", b"\r\n", b"\r") if data.startswith(b"ply" + each)), None)
    if ending is None:
        raise Refused("no PLY file: it does not begin with a line 'ply'")
    end = data.find(b"end_header", 0, _MAX_HEADER)
    start = data.find(ending, end) if end > 0 else -1
    if start < 0:
        raise Refused("the header does not end")
    try:
        header = _header(data[:end].decode("ascii", "replace").splitlines()[1:])
    except (KeyError, IndexError) as error:
        raise Refused(f"the header is broken: {error}") from error
    body = data[start + len(ending) :]
    counts = header.counts
    vertices, faces = counts.get("vertex", 0), counts.get("face", 0)
    if not vertices or not faces:
        raise Refused(f"no surface: {vertices} vertices and {faces} faces")
    # Elements beyond those two are held in memory as well.
    limits.check_counts(vertices, faces)
    limits.check_counts(0, sum(counts.values()) - vertices)
    if header.form == "ascii":
        body = plain_text(body)
        lines = body.count(b"\n") + 1
        rows = sum(counts.values())
        if lines < rows:
            raise Refused(f"it ends early: {rows:,} lines are announced, {lines:,} are there")
        if lines > rows + 1000:
            raise Refused(f"{lines:,} lines where the header announces {rows:,}")
    elif header.least > len(body):
        raise Refused(f"it ends early: its header announces {header.least:,} bytes at least, {len(body):,} are there")
    head = "\n".join(["ply", f"format {header.form} 1.0", *header.lines, "end_header\n"])
    return Checked(head.encode() + body, faces, header.ignored)


def _header(lines: list[str]) -> _Header:
    form = element = ""
    counts: dict[str, int] = {}
    least = 0
    kept: list[str] = []
    ignored: list[str] = []
    for line in lines:
        words = line.split()
        if not words or words[0] == "obj_info":
            continue
        if words[0] == "comment":
            if "texturefile" in line.lower():
                ignored.append(f"texture {line[7:].strip()[:80]!r}: only the PLY file itself is read")
            continue
        if words[0] == "format":
            form = words[1]
            continue
        if words[0] == "element":
            element = words[1]
            if element in counts:
                raise Refused("the header announces an element twice")
            count = decimal(words[2])
            if count is None:
                raise Refused(f"the header announces {words[2][:30]!r} elements")
            counts[element] = count
        elif words[0] == "property":
            least += counts[element] * _SIZES[words[2] if words[1] == "list" else words[1]]
        else:
            raise Refused(f"the header is broken: {line.strip()[:80]!r}")
        kept.append(" ".join(words))
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise Refused(f"the header names no known format but {form!r}")
    return _Header(form, counts, least, kept, tuple(ignored[:10]))
