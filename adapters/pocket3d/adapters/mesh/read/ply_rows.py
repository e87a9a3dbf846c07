"""The rows of a PLY file: its header, judged, and the elements that it announces, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pocket3d.contracts.bounds import decimal

from .limits import Refused
from .text_lines import parsed, plain_text

_KINDS = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("int64",), "i8"),
    **dict.fromkeys(("uint64",), "u8"),
    **dict.fromkeys(("float16",), "f2"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_MAX_HEADER = 65_536
_NEEDED = ("vertex", "face", "tristrips")


class Column(NamedTuple):
    """A property of an element."""

    name: str
    #: As numpy names it, without the order of bytes.
    kind: str
    #: Of a list, the kind of its count; None for a number.
    counted: str | None = None


class Element(NamedTuple):
    """A table that the header announces."""

    name: str
    rows: int
    columns: list[Column]

    @property
    def least(self) -> int:
        """The fewest bytes of one row."""
        return sum(int((each.counted or each.kind)[1:]) for each in self.columns)


class Header(NamedTuple):
    """What a file announces, and what follows."""

    elements: list[Element]
    #: `<` or `>`; None for a text.
    order: str | None
    body: bytes
    #: What it refers to outside of the file, for people.
    ignored: tuple[str, ...]

    def count(self, name: str) -> int:
        """Rows of an element."""
        return next((each.rows for each in self.elements if each.name == name), 0)


class PlyLists(NamedTuple):
    """The lists of one property."""

    #: (N,) of all rows, one after the other.
    values: npt.NDArray[Any]
    #: (R,)
    counts: npt.NDArray[np.int64]


@dataclass
class Rows:
    """The rows of an element, by property."""

    rows: int
    scalars: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    lists: dict[str, PlyLists] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


def read_header(data: bytes) -> Header:
    """Judge a file's header.

    Raises:
        Refused: no PLY, a broken header, or a file that is shorter than it claims.
    """
    ending = next((each for each in (b"\n", b"\r\n", b"\r") if data.startswith(b"ply" + each)), None)
    if ending is None:
        raise Refused("no PLY file: it does not begin with a line 'ply'")
    end = data.find(b"end_header", 0, _MAX_HEADER)
    start = data.find(ending, end) if end > 0 else -1
    if start < 0:
        raise Refused("the header does not end")
    try:
        form, elements, ignored = _statements(data[:end].decode("ascii", "replace").splitlines()[1:])
    except (KeyError, IndexError) as error:
        raise Refused(f"the header is broken: {error}") from error
    body = data[start + len(ending) :]
    rows = sum(each.rows for each in elements)
    if form == "ascii":
        body = plain_text(body)
        lines = body.count(b"\n") + 1
        if lines < rows:
            raise Refused(f"it ends early: {rows:,} lines are announced, {lines:,} are there")
        if lines > rows + 1000:
            raise Refused(f"{lines:,} lines where the header announces {rows:,}")
        return Header(elements, None, body, ignored)
    least = sum(each.rows * each.least for each in elements)
    if least > len(body):
        raise Refused(f"it ends early: its header announces {least:,} bytes at least, {len(body):,} are there")
    return Header(elements, "<" if form == "binary_little_endian" else ">", body, ignored)


def _statements(lines: list[str]) -> tuple[str, list[Element], tuple[str, ...]]:
    form = ""
    elements: list[Element] = []
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
            if any(each.name == words[1] for each in elements):
                raise Refused("the header announces an element twice")
            count = decimal(words[2])
            if count is None:
                raise Refused(f"the header announces {words[2][:30]!r} elements")
            elements.append(Element(words[1], count, []))
        elif words[0] == "property":
            if words[1] == "list":
                column = Column(words[4], _KINDS[words[3]], _KINDS[words[2]])
            else:
                column = Column(words[2], _KINDS[words[1]])
            elements[-1].columns.append(column)
        else:
            raise Refused(f"the header is broken: {line.strip()[:80]!r}")
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise Refused(f"the header names no known format but {form!r}")
    return form, elements, tuple(ignored[:10])


def read_rows(header: Header) -> dict[str, Rows]:
    """The rows of vertices, faces and strips; what stands behind the last of them is not read.

    Raises:
        Refused: the file ends early, or has something that is no number.
    """
    wanted = [each.name in _NEEDED for each in header.elements]
    last = len(wanted) - wanted[::-1].index(True)
    if header.order is None:
        return _text_rows(header.body, header.elements[:last])
    found: dict[str, Rows] = {}
    at = 0
    for element in header.elements[:last]:
        found[element.name], at = _binary_rows(header.body, at, element, header.order)
    return found


_EARLY = "it ends early: not all rows that its header announces are there"


def _binary_rows(body: bytes, at: int, element: Element, order: str) -> tuple[Rows, int]:
    """The rows of an element that begin at a byte, and where they end."""
    lengths = _first_lengths(body, at, element, order)
    fields: list[Any] = []
    for number, column in enumerate(element.columns):
        if column.counted is None:
            fields.append((f"{number}", order + column.kind))
        else:
            fields += [
                (f"{number}n", order + column.counted),
                (f"{number}", order + column.kind, (lengths[number],)),
            ]
    kind = np.dtype(fields)
    end = at + kind.itemsize * element.rows
    if end <= len(body):
        table = np.frombuffer(body, dtype=kind, count=element.rows, offset=at)
        lists = [n for n, column in enumerate(element.columns) if column.counted is not None]
        if all((table[f"{n}n"] == lengths[n]).all() for n in lists):
            return _of_table(element, table, lengths), end
    elif not lengths:
        raise Refused(_EARLY)
    return _walked(body, at, element, order)


def _first_lengths(body: bytes, at: int, element: Element, order: str) -> dict[int, int]:
    """How long the lists of the first row are."""
    lengths: dict[int, int] = {}
    if not element.rows:
        return {n: 0 for n, column in enumerate(element.columns) if column.counted is not None}
    for number, column in enumerate(element.columns):
        if column.counted is None:
            at += int(column.kind[1:])
            continue
        lengths[number] = _count(body, at, order + column.counted)
        at += int(column.counted[1:]) + lengths[number] * int(column.kind[1:])
    return lengths


def _count(body: bytes, at: int, kind: str) -> int:
    size = int(kind[2:])
    if at + size > len(body):
        raise Refused(_EARLY)
    count = np.frombuffer(body, dtype=kind, count=1, offset=at)[0]
    if not 0 <= count <= len(body):
        raise Refused(f"it is broken: a list of {count} numbers")
    return int(count)


def _of_table(element: Element, table: Any, lengths: dict[int, int]) -> Rows:
    rows = Rows(element.rows)
    for number, column in enumerate(element.columns):
        rows.kinds[column.name] = column.kind
        if column.counted is None:
            rows.scalars[column.name] = table[f"{number}"]
        else:
            counts = np.full(element.rows, lengths[number], dtype=np.int64)
            rows.lists[column.name] = PlyLists(table[f"{number}"].reshape(-1), counts)
    return rows


def _walked(body: bytes, at: int, element: Element, order: str) -> tuple[Rows, int]:
    """Rows with lists of different lengths, one by one."""
    counts: dict[int, list[int]] = {n: [] for n, each in enumerate(element.columns) if each.counted is not None}
    pieces: dict[int, list[bytes]] = {n: [] for n in range(len(element.columns))}
    plan = [
        (n, int(each.kind[1:]), None if each.counted is None else (int(each.counted[1:]), order))
        for n, each in enumerate(element.columns)
    ]
    big = "little" if order == "<" else "big"
    total = len(body)
    for _ in range(element.rows):
        for number, size, counted in plan:
            width = size
            if counted is not None:
                # Counts are whole numbers in any real file; a float as one is refused by the table before.
                count = int.from_bytes(body[at : at + counted[0]], big)  # type: ignore[arg-type]  # one of the two
                at += counted[0]
                width = count * size
                counts[number].append(count)
            pieces[number].append(body[at : at + width])
            at += width
            if at > total:
                raise Refused(_EARLY)
    rows = Rows(element.rows)
    for number, column in enumerate(element.columns):
        values = np.frombuffer(b"".join(pieces[number]), dtype=order + column.kind)
        rows.kinds[column.name] = column.kind
        if column.counted is None:
            rows.scalars[column.name] = values
        else:
            rows.lists[column.name] = PlyLists(values, np.array(counts[number], dtype=np.int64))
    return rows, at


def _text_rows(body: bytes, elements: list[Element]) -> dict[str, Rows]:
    values = parsed(body, np.float64)
    found: dict[str, Rows] = {}
    at = 0
    for element in elements:
        found[element.name], at = _text_element(values, at, element)
    return found


_BROKEN = "it ends early, or has something that is no number"


def _text_element(values: npt.NDArray[np.float64], at: int, element: Element) -> tuple[Rows, int]:
    rows = Rows(element.rows)
    columns = element.columns
    rows.kinds = {each.name: each.kind for each in columns}
    widths: list[int] = []
    place = at
    for column in columns:
        width = 1
        if column.counted is not None:
            width = 1 + (_length(values, place) if element.rows else 0)
        widths.append(width)
        place += width
    size = sum(widths)
    starts = np.cumsum([0, *widths])
    if at + size * element.rows <= len(values):
        table = values[at : at + size * element.rows].reshape(element.rows, size)
        listed = [n for n, column in enumerate(columns) if column.counted is not None]
        if all((table[:, starts[n]] == widths[n] - 1).all() for n in listed):
            for number, column in enumerate(columns):
                if column.counted is None:
                    rows.scalars[column.name] = table[:, starts[number]]
                else:
                    counts = np.full(element.rows, widths[number] - 1, dtype=np.int64)
                    flat = table[:, starts[number] + 1 : starts[number + 1]].reshape(-1)
                    rows.lists[column.name] = PlyLists(flat, counts)
            return rows, at + size * element.rows
    elif all(column.counted is None for column in columns):
        raise Refused(_BROKEN)
    return _walked_text(values, at, element, rows)


def _length(values: npt.NDArray[np.float64], at: int) -> int:
    count = float(values[at]) if at < len(values) else -1.0
    if not 0 <= count <= len(values) or count != int(count):
        raise Refused(_BROKEN)
    return int(count)


def _walked_text(values: npt.NDArray[np.float64], at: int, element: Element, rows: Rows) -> tuple[Rows, int]:
    places: dict[str, list[int]] = {each.name: [] for each in element.columns}
    counts: dict[str, list[int]] = {each.name: [] for each in element.columns if each.counted is not None}
    for _ in range(element.rows):
        for column in element.columns:
            if column.counted is not None:
                count = _length(values, at)
                counts[column.name].append(count)
                places[column.name].append(at + 1)
                at += 1 + count
            else:
                places[column.name].append(at)
                at += 1
    if at > len(values):
        raise Refused(_BROKEN)
    for column in element.columns:
        begins = np.array(places[column.name], dtype=np.int64)
        if column.counted is None:
            rows.scalars[column.name] = values[begins]
            continue
        each = np.array(counts[column.name], dtype=np.int64)
        step = np.arange(int(each.sum())) - np.repeat(np.cumsum(each) - each, each)
        rows.lists[column.name] = PlyLists(values[np.repeat(begins, each) + step], each)
    return rows, at
