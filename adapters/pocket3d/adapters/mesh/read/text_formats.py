"""OBJ and OFF: counted line by line before they are parsed, and rid of what points to other files.

The parser (trimesh) drops broken numbers and counts relative indices from the end of the file; these checks see to it
that it gets neither. It gets UTF-8 without a byte order mark and lines that end with LF, whatever the file has.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from .limits import Checked, MeshLimits, Refused

#: Lines of any real exporter are far shorter; longer ones are a polygon of millions of corners or no text.
_MAX_LINE = 1_000_000
#: Each material makes a part, and the parser looks for a free name of it among all before: 5,000 took 17 seconds.
_MAX_MATERIALS = 500
_FURTHER = b"usemtl further_materials"
#: Parts are objects in memory; scenes with more are merged before they are exported.
MAX_GROUPS = 20_000
_KEPT = (b"v", b"vt", b"vn", b"f", b"o", b"g", b"usemtl")
_OUTSIDE = {b"mtllib": "material library", b"maplib": "texture library", b"call": "call of another file"}
#: Lines that hold words in any encoding, where a last byte 0x5C may be half of a letter (Shift JIS, GBK).
_WORDS = re.compile(rb"\s*(#|(o|g|usemtl|mtllib)\s)", re.IGNORECASE)
_ZERO = re.compile(rb"[\s/]0+(?=[\s/]|$)")
_SHOWN = 80
#: `int()` refuses thousands of digits with another error.
_MAX_DIGITS = 18


def plain_text(data: bytes) -> bytes:
    """Bring text to UTF-8 without a byte order mark, with lines that end with LF.

    Exporters write their byte order mark (Windows), UTF-16, names and comments in the code page of their country, or
    CR alone (Macintosh). A code page is not stated in the file; the Western one (Windows-1252) is assumed, which
    spoils at most names.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.decode("utf-16", "replace").encode()
    else:
        data = data.removeprefix(codecs.BOM_UTF8)
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("cp1252", "replace").encode()
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def check_obj(data: bytes, limits: MeshLimits) -> Checked:
    """Count an OBJ file and keep only geometry, groups and names of materials.

    Raises:
        Refused: too large, no faces, or an index that points nowhere.
    """
    out: list[bytes] = []
    ignored: list[str] = []
    counts = {b"v": 0, b"vt": 0, b"vn": 0}
    faces = groups = 0
    materials: set[bytes] = set()
    further = False
    for number, line in _obj_lines(plain_text(data)):
        word, _, rest = line.partition(b" ")
        if word in counts:
            counts[word] += 1
        elif word == b"f":
            corners = rest.split()
            if len(corners) < 3:
                raise Refused(f"line {number}: a face needs 3 corners, got {len(corners)}")
            faces += len(corners) - 2
            if b"-" in rest:
                line = b"f " + b" ".join(_absolute(corner, counts, number) for corner in corners)
            elif _ZERO.search(b" " + rest):
                raise Refused(f"line {number}: index 0; OBJ counts from 1")
        elif word in (b"o", b"g", b"usemtl"):
            groups += 1
            if word == b"usemtl" and rest not in materials:
                if len(materials) < _MAX_MATERIALS:
                    materials.add(rest)
                else:
                    line = _FURTHER
                    further = True
        elif word in _OUTSIDE:
            ignored.append(f"{_OUTSIDE[word]} {_shown(rest)}: only the OBJ file itself is read")
            continue
        if word in _KEPT:
            out.append(line)
        if number % 65_536 == 0 or groups > MAX_GROUPS:
            _check_obj_counts(counts, faces, groups, limits)
    _check_obj_counts(counts, faces, groups, limits)
    if not counts[b"v"] or not faces:
        raise Refused(f"no surface: {counts[b'v']} vertices and {faces} faces")
    if further:
        ignored.insert(0, f"materials after the first {_MAX_MATERIALS}: their faces are one part")
    return Checked(b"\n".join(out) + b"\n", faces, tuple(ignored[:10]))


def _check_obj_counts(counts: dict[bytes, int], faces: int, groups: int, limits: MeshLimits) -> None:
    limits.check_counts(max(counts.values()), faces)
    if groups > MAX_GROUPS:
        raise Refused(f"more than {MAX_GROUPS:,} groups, objects and changes of material")


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers, from 1."""
    start = number = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        number += 1
        if end - start > _MAX_LINE:
            raise Refused(f"line {number} has more than {_MAX_LINE:,} characters")
        yield number, data[start:end]
        start = end + 1


def _obj_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers: continued ones joined, comments and outer space removed, one space after the word."""
    held = b""
    for number, line in _lines(data):
        if held and len(held) + len(line) > _MAX_LINE:
            raise Refused(f"line {number} has more than {_MAX_LINE:,} characters")
        if line.endswith(b"\\"):
            line = line.removesuffix(b"\\")
            if not _WORDS.match(held + line):
                held += line + b" "
                continue
        line, held = held + line, b""
        line = line.partition(b"#")[0].strip()
        if line:
            word, _, rest = line.replace(b"\t", b" ").partition(b" ")
            yield number, word.lower() + b" " + rest.strip()


def _absolute(corner: bytes, counts: dict[bytes, int], number: int) -> bytes:
    """A corner whose relative (negative) indices count from what the file has so far, as OBJ means them."""
    parts = corner.split(b"/")
    for place, (part, kind) in enumerate(zip(parts, (b"v", b"vt", b"vn"), strict=False)):
        if not part:
            continue
        try:
            index = int(part)
        except ValueError as error:
            raise Refused(f"line {number}: {_shown(corner)} is no corner of a face") from error
        if index < 0:
            index += counts[kind] + 1
        if not index >= 1:
            raise Refused(f"line {number}: {_shown(corner)} points before the first {kind.decode()}")
        parts[place] = b"%d" % index
    return b"/".join(parts)


def check_off(data: bytes, limits: MeshLimits) -> Checked:
    """Judge an OFF file by its counts line.

    Raises:
        Refused: no OFF, too large, or fewer lines than it claims.
    """
    data = plain_text(data)
    lines = (line for _, full in _lines(data) if (line := full.partition(b"#")[0].strip()))
    head = next(lines, b"")
    if not head.upper().startswith((b"OFF", b"COFF")):
        raise Refused("no OFF file: it does not begin with OFF")
    counts = head[head.upper().index(b"OFF") + 3 :].split() or next(lines, b"").split()
    try:
        vertices, faces = (int(each) for each in counts[:2])
    except ValueError as error:
        raise Refused("the line of counts is broken; want 'vertices faces edges'") from error
    if vertices < 1 or faces < 1:
        raise Refused(f"no surface: {vertices} vertices and {faces} faces")
    limits.check_counts(vertices, faces)
    triangles = found = 0
    for found, line in enumerate(lines, 1):
        if found > vertices + faces:
            break
        if found > vertices:
            corners = line.split(maxsplit=1)[0]
            if not corners.isdigit() or len(corners) > _MAX_DIGITS or int(corners) < 3:
                raise Refused(f"face {found - vertices}: {_shown(corners)} corners; want 3 or more")
            triangles += int(corners) - 2
            limits.check_counts(vertices, triangles)
    if found < vertices + faces:
        raise Refused(f"it ends early: {vertices} vertices and {faces} faces are announced, {found} lines are there")
    return Checked(data, triangles)


def _shown(text: bytes) -> str:
    return repr(text[:_SHOWN].decode("utf-8", "replace"))
