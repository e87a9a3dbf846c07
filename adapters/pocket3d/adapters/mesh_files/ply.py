"""PLY: the header's element counts against the limits and the file's length."""

from __future__ import annotations

from .limits import Checked, MeshLimits, Refused

_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16", "float16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64", "int64", "uint64"), 8),
}
_MAX_HEADER = 65_536


class _Element:
    """One `element` of the header."""

    def __init__(self, name: str, count: int) -> None:
        self.name = name
        self.count = count
        #: Fewest bytes of one row in a binary file.
        self.row = 0


def check_ply(data: bytes, limits: MeshLimits) -> Checked:
    """Judge a PLY file by its header.

    Raises:
        Refused: no PLY, too large, or shorter than its header claims.
    """
    elements, text, body, ignored = _header(data)
    counts = {element.name: element.count for element in elements}
    vertices, faces = counts.get("vertex", 0), counts.get("face", 0)
    if not vertices or not faces:
        raise Refused(f"no surface: {vertices} vertices and {faces} faces")
    # Elements beyond those two are held in memory as well.
    limits.check_counts(vertices, faces)
    limits.check_counts(0, sum(counts.values()) - vertices)
    length = len(data) - body
    if text:
        lines = data.count(b"\n", body) + 1
        rows = sum(counts.values())
        if lines < rows:
            raise Refused(f"it ends early: {rows:,} lines are announced, {lines:,} are there")
        if lines > rows + 1000:
            raise Refused(f"{lines:,} lines where the header announces {rows:,}")
    else:
        least = sum(element.count * element.row for element in elements)
        if least > length:
            raise Refused(f"it ends early: its header announces {least:,} bytes at least, {length:,} are there")
    return Checked(data, 0, faces, ignored)


def _header(data: bytes) -> tuple[list[_Element], bool, int, tuple[str, ...]]:
    """Elements, whether the body is text, where it begins, and what points outside."""
    if not data.startswith((b"ply\n", b"ply\r\n")):
        raise Refused("no PLY file: it does not begin with a line 'ply'")
    end = data.find(b"end_header", 0, _MAX_HEADER)
    body = data.find(b"\n", end) + 1 if end > 0 else 0
    if body == 0:
        raise Refused("the header does not end")
    try:
        lines = data[:end].decode("ascii", "replace").splitlines()
        return _elements(lines[1:], body)
    except (ValueError, KeyError, IndexError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"the header is broken: {error}") from error


def _elements(lines: list[str], body: int) -> tuple[list[_Element], bool, int, tuple[str, ...]]:
    form = ""
    elements: list[_Element] = []
    ignored: list[str] = []
    for line in lines:
        words = line.split()
        if not words or words[0] == "obj_info":
            continue
        if words[0] == "comment":
            if "texturefile" in line.lower():
                ignored.append(f"texture {line[7:].strip()[:80]!r}: only the PLY file itself is read")
        elif words[0] == "format":
            form = words[1]
        elif words[0] == "element":
            elements.append(_Element(words[1], _count(words[2])))
        elif words[0] == "property":
            elements[-1].row += _SIZES[words[2] if words[1] == "list" else words[1]]
        else:
            raise Refused(f"the header is broken: {line.strip()[:80]!r}")
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise Refused(f"the header names no known format but {form!r}")
    if len({element.name for element in elements}) != len(elements):
        raise Refused("the header announces an element twice")
    return elements, form == "ascii", body, tuple(ignored[:10])


def _count(text: str) -> int:
    if not text.isdigit() or len(text) > 18:
        raise Refused(f"the header announces {text[:30]!r} elements")
    return int(text)
