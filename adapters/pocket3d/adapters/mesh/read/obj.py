"""Wavefront OBJ: geometry, objects and groups, names of materials, colours behind the coordinates of a vertex.

The .mtl file and whatever else it refers to are not opened; they may come along in a zip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .found import Found, FoundPart, fan, opaque
from .limits import MeshLimits, Refused
from .mtl import looks_of
from .text_lines import TextLines, parsed, plain_text, shown, without_comments

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Parts are objects in memory, and each is written, drawn and counted by itself.
_MAX_PARTS = 500
_FURTHER = "further_parts"
#: Lines that change object, group or material; scenes with more are merged before they are exported.
MAX_GROUPS = 20_000
_OUTSIDE = {b"mtllib": "material library", b"maplib": "texture library", b"call": "call of another file"}
#: Lines that hold words in any encoding, where a last byte 0x5C may be half of a letter (Shift JIS, GBK).
_WORDS = re.compile(rb"\s*(#|(o|g|usemtl|mtllib)\s)", re.IGNORECASE)
_ZERO = re.compile(rb"/0+[\s/]")
_NO_NAME = "mesh"


class _Corners(NamedTuple):
    """The corners of all faces, each an index from 0; -1 without."""

    place: Ints
    texture: Ints | None
    normal: Ints | None
    #: (T, 3) triangles of corners, and the (T,) line of each among the lines of faces.
    triangles: Ints
    line: Ints


def read_obj(data: bytes, limits: MeshLimits, files: Mapping[str, bytes] | None = None) -> Found:
    """Read an OBJ file.

    Args:
        data: of the file.
        limits: judged before anything is decoded.
        files: what came along with it, by name: its .mtl files and their textures are looked for there.

    Raises:
        Refused: too large, no faces, an index that points nowhere, or something that is no number.
    """
    lines = TextLines(without_comments(_whole_lines(plain_text(data))))
    rows = {word: lines.begin_with(word) for word in (b"v", b"vt", b"vn", b"f")}
    counts = {word: int(which.sum()) for word, which in rows.items()}
    faces = int(np.maximum(lines.words[rows[b"f"]] - 3, 0).sum())
    limits.check_counts(max(counts[b"v"], counts[b"vt"], counts[b"vn"]), max(faces, counts[b"f"]))
    if not counts[b"v"] or not counts[b"f"]:
        raise Refused(_nothing(lines, counts))
    places, colours = _vertices(lines, rows[b"v"])
    uv = _columns(lines, rows[b"vt"], b"vt", 2)
    normals = _columns(lines, rows[b"vn"], b"vn", 3)
    corners = _corners(lines, rows)
    part_of, names, ignored = _parts(lines, rows[b"f"])
    looks, left = looks_of(_libraries(lines), files or {})
    # Without its own files, what it refers to is told as such.
    ignored = [*ignored, *left]
    found = []
    part_of_triangle = part_of[corners.line]
    order = np.argsort(part_of_triangle, kind="stable") if len(names) > 1 else np.arange(len(part_of_triangle))
    bounds = np.searchsorted(part_of_triangle[order], np.arange(len(names) + 1))
    for index, (name, material) in enumerate(names):
        chosen = corners.triangles[order[bounds[index] : bounds[index + 1]]]
        if len(chosen):
            part = _part(name, material, chosen, corners, places, colours, uv, normals)
            found.append(part._replace(look=looks.get(material or "")))
    return Found(found, tuple(ignored[:10]))


def _nothing(lines: TextLines, counts: dict[bytes, int]) -> str:
    points = int(lines.begin_with(b"p").sum())
    if counts[b"v"] and (points or not int(lines.begin_with(b"l").sum())):
        return (
            f"no surface: {counts[b'v']} vertices and 0 faces. This is a point cloud; make a mesh of it first, e.g. by"
            " Poisson reconstruction in MeshLab"
        )
    return f"no surface: {counts[b'v']} vertices and {counts[b'f']} faces"


def _whole_lines(data: bytes) -> bytes:
    """Text whose continued lines are joined, with as many lines as before."""
    if b"\\\n" not in data:
        return data
    out: list[bytes] = []
    held = b""
    waiting = 0
    for line in data.split(b"\n"):
        if line.endswith(b"\\") and not _WORDS.match(held + line):
            held += line[:-1] + b" "
            waiting += 1
            continue
        out.extend([b""] * waiting)
        out.append(held + line)
        held, waiting = b"", 0
    return b"\n".join([*out, held]) if held else b"\n".join(out)


def _vertices(lines: TextLines, which: npt.NDArray[np.bool_]) -> tuple[Floats, Floats | None]:
    """(V, 3) places, and (V, 4) colours if any vertex has some: x y z [w] [r g b [a]]."""
    numbers = lines.numbers(which, 1)
    short = np.flatnonzero(numbers.counts < 3)
    if len(short):
        line = int(np.flatnonzero(which)[short[0]])
        raise Refused(f"line {line + 1}: a vertex needs 3 numbers, got {int(numbers.counts[short[0]])}")
    places = np.ascontiguousarray(numbers.columns(0, 3))
    coloured = numbers.counts >= 6
    if not coloured.any():
        return places, None
    colours = np.ones((len(places), 4))
    colours[coloured, :3] = numbers.values[numbers.starts[coloured, None] + np.arange(3, 6)]
    # 0..1 as MeshLab writes them, or 0..255.
    return places, opaque(colours[:, :3], 255.0 if colours[:, :3].max() > 1.0 else 1.0)


def _columns(lines: TextLines, which: npt.NDArray[np.bool_], word: bytes, width: int) -> Floats | None:
    if not which.any():
        return None
    numbers = lines.numbers(which, len(word))
    least = int(numbers.counts.min())
    if least >= width:
        return np.ascontiguousarray(numbers.columns(0, width))
    if word == b"vt" and least == 1:
        # One coordinate alone is allowed; the other is 0.
        filled = np.zeros((len(numbers.counts), width))
        filled[:, 0] = numbers.values[numbers.starts]
        more = numbers.counts > 1
        filled[more, 1] = numbers.values[numbers.starts[more] + 1]
        return filled
    line = int(np.flatnonzero(which)[int(numbers.counts.argmin())])
    raise Refused(f"line {line + 1}: {word.decode()} needs {width} numbers, got {least}")


def _corners(lines: TextLines, rows: dict[bytes, npt.NDArray[np.bool_]]) -> _Corners:
    which = rows[b"f"]
    numbers = np.flatnonzero(which)
    counts = lines.words[which] - 1
    if int(counts.min()) < 3:
        line = int(counts.argmin())
        raise Refused(f"line {int(numbers[line]) + 1}: a face needs 3 corners, got {int(counts[line])}")
    text = lines.joined(which, 1)
    zero = _ZERO.search(text + b" ") if b"/0" in text else None
    if zero is not None:
        raise Refused("a face has index 0; OBJ counts from 1")
    table = _table(text, int(counts.sum()), counts, numbers)
    line_of = np.repeat(np.arange(len(counts)), counts)
    resolved: list[Ints | None] = []
    for column, word in enumerate((b"v", b"vt", b"vn")):
        if column >= table.shape[1] or not table[:, column].any():
            resolved.append(None)
            continue
        index = table[:, column]
        before = None
        if int(index.min()) < 0:
            # A relative index counts from what the file has so far.
            before = np.cumsum(rows[word])[numbers][line_of]
            index = np.where(index < 0, index + before + 1, index)
            early = (index < 1) & (table[:, column] != 0)
            if early.any():
                line = int(numbers[line_of[int(early.argmax())]])
                raise Refused(f"line {line + 1}: an index points before the first {word.decode()}")
        count = int(rows[word].sum())
        wrong = index > count
        if column == 0:
            wrong |= index == 0
        if wrong.any():
            at = int(wrong.argmax())
            if column > 0 and not count:
                # Exporters leave out the list and keep the indices.
                resolved.append(None)
                continue
            what = "index 0; OBJ counts from 1" if index[at] == 0 else f"{int(index[at])} of {count} {word.decode()}"
            raise Refused(f"line {int(numbers[line_of[at]]) + 1}: a face points to {what}")
        resolved.append(index - 1)
    place, texture, normal = resolved
    if place is None:
        raise Refused("a face has index 0; OBJ counts from 1")
    triangles = fan(np.cumsum(counts) - counts, counts)
    return _Corners(place, texture, normal, triangles, np.repeat(np.arange(len(counts)), counts - 2))


def _table(text: bytes, corners: int, counts: Ints, numbers: Ints) -> Ints:
    """(C, 1 to 3) indices as they stand, 0 for none."""
    if b"/" not in text:
        values = parsed(text, np.int64)
        if len(values) == corners:
            return values.reshape(-1, 1)
        return _slow_table(text, counts, numbers)
    slashes = text.count(b"/")
    filled = text.replace(b"//", b"/0/") if b"//" in text else text
    for width in (2, 3):
        if slashes == corners * (width - 1) and _slashes_alike(filled, width - 1):
            values = parsed(filled.replace(b"/", b" "), np.int64)
            if len(values) == corners * width:
                return values.reshape(-1, width)
    return _slow_table(text, counts, numbers)


def _slashes_alike(text: bytes, each: int) -> bool:
    """Whether every word has so many slashes."""
    letters = np.frombuffer(text, dtype=np.uint8)
    space = letters <= ord(" ")
    begins = ~space
    begins[1:] &= space[:-1]
    slashes = np.searchsorted(np.flatnonzero(letters == ord("/")), np.flatnonzero(begins))
    return bool((slashes == np.arange(len(slashes)) * each).all())


def _slow_table(text: bytes, counts: Ints, numbers: Ints) -> Ints:
    table = np.zeros((int(counts.sum()), 3), dtype=np.int64)
    row = 0
    for line, words in enumerate(text.split(b"\n")[: len(counts)]):
        for word in words.split():
            pieces = word.split(b"/")
            try:
                if len(pieces) > 3 or any(len(piece) > 18 for piece in pieces):
                    raise ValueError
                for column, piece in enumerate(pieces):
                    if piece or column == 0:
                        table[row, column] = int(piece)
            except ValueError as error:
                raise Refused(f"line {int(numbers[line]) + 1}: {shown(word)} is no corner of a face") from error
            row += 1
    return table


def _parts(lines: TextLines, faces: npt.NDArray[np.bool_]) -> tuple[Ints, list[tuple[str, str | None]], list[str]]:
    """For each line of faces the number of its part; the parts' names and materials; what is left out."""
    words = {word: lines.begin_with(word) for word in (b"o", b"g", b"usemtl", *_OUTSIDE)}
    ignored: list[str] = []
    for word, what in _OUTSIDE.items():
        if word == b"mtllib":
            continue
        for line in np.flatnonzero(words[word])[:10].tolist():
            name = lines.text(line)[len(word) :].strip()
            ignored.append(f"{what} {shown(name)}: only the OBJ file itself is read")
    # Groups name parts where there are no objects; else they are selections within them.
    named = b"o" if words[b"o"].any() else b"g"
    changes = np.flatnonzero(words[named] | words[b"usemtl"])
    if int((words[b"o"] | words[b"g"] | words[b"usemtl"]).sum()) > MAX_GROUPS:
        raise Refused(f"more than {MAX_GROUPS:,} groups, objects and changes of material")
    name, material = b"", None
    keys: dict[tuple[bytes, bytes | None], int] = {}
    states = [keys.setdefault((name, material), 0)]
    for line in changes.tolist():
        text = lines.text(line)
        if words[b"usemtl"][line]:
            material = text[6:].strip() or None
        else:
            name = text[1:].strip()
        states.append(keys.setdefault((name, material), len(keys)))
    at = np.flatnonzero(faces)
    raw = np.array(states)[np.searchsorted(changes, at, side="right")]
    used, part_of = np.unique(raw, return_inverse=True)
    if len(used) > _MAX_PARTS:
        part_of = np.minimum(part_of, _MAX_PARTS)
        ignored.insert(0, f"objects and materials after the first {_MAX_PARTS}: their faces are one part")
    by_number = list(keys)
    parts = [by_number[number] for number in used[: _MAX_PARTS + 1].tolist()]
    several = {name for name, _ in parts if sum(other == name for other, _ in parts) > 1}
    names = [_names(name, material, name in several) for name, material in parts]
    if len(used) > _MAX_PARTS:
        names[-1] = (_FURTHER, None)
    return part_of.reshape(-1), names, ignored


def _libraries(lines: TextLines) -> list[str]:
    """The names of its .mtl files."""
    found = np.flatnonzero(lines.begin_with(b"mtllib"))[:10].tolist()
    return [lines.text(line)[len(b"mtllib") :].strip().decode("utf-8", "replace") for line in found]


def _names(name: bytes, material: bytes | None, several: bool) -> tuple[str, str | None]:
    """A part's name, with that of its material where its object has several; and its material's."""
    look = None if material is None else material.decode("utf-8", "replace")
    if not name:
        return look or _NO_NAME, look
    own = name.decode("utf-8", "replace")
    return (f"{own}_{look}" if several and look else own), look


def _part(
    name: str,
    material: str | None,
    triangles: Ints,
    corners: _Corners,
    places: Floats,
    colours: Floats | None,
    uv: Floats | None,
    normals: Floats | None,
) -> FoundPart:
    flat = triangles.reshape(-1)
    place = corners.place[flat]
    texture = None if corners.texture is None or uv is None else corners.texture[flat]
    normal = None if corners.normal is None or normals is None else corners.normal[flat]
    if texture is not None and int(texture.max()) < 0:
        texture = None
    if normal is not None and int(normal.min()) < 0:
        normal = None
    differing = [each for each in (texture, normal) if each is not None and not np.array_equal(each, place)]
    first, number = _different(place, differing, len(places))
    return FoundPart(
        name=name,
        vertices=places[place[first]],
        faces=number.reshape(-1, 3),
        normals=None if normal is None or normals is None else normals[normal[first]],
        uv=None if texture is None or uv is None else np.where(texture[first, None] < 0, 0.0, uv[texture[first]]),
        colours=None if colours is None else colours[place[first]],
        material=material,
    )


def _different(place: Ints, others: list[Ints], count: int) -> tuple[Ints, Ints]:
    """The first of each kind of corner, in the order of the file's vertices, and the (C,) kind of each corner."""
    key = place
    if not others and len(place) * 4 > count:
        first = np.full(count, -1, dtype=np.int64)
        # Backwards, so that the first one stays.
        first[place[::-1]] = np.arange(len(place) - 1, -1, -1)
        used = first >= 0
        number = np.cumsum(used) - 1
        return first[used], number[place]
    for other in others:
        width = int(other.max()) + 2
        if (int(key.max()) + 1) * width >= 2**62:
            key = np.unique(key, return_inverse=True)[1].reshape(-1)
        key = key * width + (other + 1)
    _, kinds_first, kind = np.unique(key, return_index=True, return_inverse=True)
    return kinds_first, kind.reshape(-1)
