"""Geometry compressed by meshoptimizer, as glTF holds it: EXT_meshopt_compression (Khronos, 2021), version 0 of its
attribute codec and versions 0 and 1 of its index codecs.

Written after the extension's own description; no package on PyPI for it is kept well. What is broken raises
`IndexError` or `ValueError`, never more memory than is announced.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_ATTRIBUTES, _TRIANGLES, _INDICES = 0xA0, 0xE0, 0xD0
_GROUP = 16
_BLOCK_BYTES, _BLOCK_ROWS = 8192, 256
_TAIL = 32
#: How the bytes of a group are packed: bits for each, by the two bits of its header.
_BITS = (0, 2, 4, 8)


def decode(data: bytes, mode: str, count: int, stride: int, filtered: str = "NONE") -> bytes:
    """The bytes of a buffer view.

    Args:
        data: compressed.
        mode: ATTRIBUTES, TRIANGLES or INDICES.
        count: rows, or indices.
        stride: bytes of each: a multiple of 4 up to 256, or 2 or 4 for indices.
        filtered: NONE, OCTAHEDRAL, QUATERNION or EXPONENTIAL, of attributes.

    Raises:
        ValueError: broken.
        IndexError: it ends early.
    """
    if mode == "ATTRIBUTES":
        rows = _attributes(data, count, stride)
        return _unfiltered(rows, filtered).tobytes()
    numbers = _triangles(data, count) if mode == "TRIANGLES" else _indices(data, count)
    return np.array(numbers, dtype=np.int64).astype("<u2" if stride == 2 else "<u4").tobytes()


def _attributes(data: bytes, count: int, stride: int) -> Bytes:
    """(count, stride)"""
    if not data or data[0] != _ATTRIBUTES:
        raise ValueError("an unknown version of the attribute codec")
    if stride % 4 or not 4 <= stride <= 256:
        raise ValueError(f"a stride of {stride} bytes")
    last = np.frombuffer(data[-stride:], dtype=np.uint8)
    rows = np.empty((count, stride), dtype=np.uint8)
    block = min(_BLOCK_BYTES // stride // _GROUP * _GROUP, _BLOCK_ROWS)
    at = 1
    for start in range(0, count, block):
        size = min(block, count - start)
        deltas = np.zeros((-(-size // _GROUP) * _GROUP, stride), dtype=np.uint8)
        for column in range(stride):
            at = _column(data, at, deltas[:, column])
        deltas = deltas[:size]
        # Zigzag, then each byte is the sum of those before.
        signed = (deltas >> 1) ^ (0 - (deltas & 1))
        summed = np.cumsum(signed, axis=0, dtype=np.uint8) + last
        rows[start : start + size] = summed
        last = summed[-1]
    if at > len(data) - max(stride, _TAIL):
        raise IndexError("the attributes end early")
    return rows


def _column(data: bytes, at: int, out: Bytes) -> int:
    """One byte of each row of a block; returns where the next column begins."""
    groups = len(out) // _GROUP
    header = data[at : at + -(-groups // 4)]
    at += len(header)
    for group in range(groups):
        bits = _BITS[header[group // 4] >> (group % 4 * 2) & 3]
        if bits == 0:
            continue
        place = out[group * _GROUP : (group + 1) * _GROUP]
        packed = np.frombuffer(data, dtype=np.uint8, count=2 * bits, offset=at)
        at += 2 * bits
        if bits == 8:
            place[:] = packed
            continue
        if bits == 4:
            values = np.stack([packed >> 4, packed & 15], axis=1).reshape(-1)
        else:
            values = np.stack([packed >> 6, packed >> 4 & 3, packed >> 2 & 3, packed & 3], axis=1).reshape(-1)
        escaped = np.flatnonzero(values == 2**bits - 1)
        if len(escaped):
            values[escaped] = np.frombuffer(data, dtype=np.uint8, count=len(escaped), offset=at)
            at += len(escaped)
        place[:] = values
    return at


def _unfiltered(rows: Bytes, kind: str) -> npt.NDArray[np.generic]:
    if kind == "NONE":
        return rows
    count, stride = rows.shape
    if kind == "EXPONENTIAL":
        words = np.ascontiguousarray(rows).view("<i4")
        exponent = words >> 24
        mantissa = (words << 8) >> 8
        with np.errstate(over="ignore"):
            floats: npt.NDArray[np.float32] = np.ldexp(mantissa.astype(np.float64), exponent).astype("<f4")
            return floats
    if kind == "OCTAHEDRAL":
        values = np.ascontiguousarray(rows).view("i1" if stride == 4 else "<i2")
        full = 127 if stride == 4 else 32767
        x, y, one = (values[:, column].astype(np.float64) for column in range(3))
        one = np.where(one == 0, 1, one)
        x, y = x / one, y / one
        z = 1 - np.abs(x) - np.abs(y)
        under = np.maximum(-z, 0)
        x -= np.where(x >= 0, under, -under)
        y -= np.where(y >= 0, under, -under)
        length = np.sqrt(x * x + y * y + z * z)
        out: npt.NDArray[np.generic] = values.copy()
        for column, axis in enumerate((x, y, z)):
            out[:, column] = np.rint(axis / length * full)
        return out
    if kind == "QUATERNION" and stride == 8:
        values = np.ascontiguousarray(rows).view("<i2")
        scale = (values[:, 3] | 3).astype(np.float64)
        three = values[:, :3] / scale[:, None] / np.sqrt(2)
        fourth = np.sqrt(np.maximum(0, 1 - (three * three).sum(axis=1)))
        largest = values[:, 3] & 3
        out = np.empty((count, 4), dtype="<i2")
        for column in range(3):
            out[np.arange(count), (largest + 1 + column) & 3] = np.rint(three[:, column] * 32767)
        out[np.arange(count), largest] = np.rint(fourth * 32767)
        return out
    raise ValueError(f"the unknown filter {kind[:30]!r}")


class _Reader:
    """Numbers of seven bits a byte, the differences of indices."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def number(self) -> int:
        lead = self.byte()
        if lead < 128:
            return lead
        result, shift = lead & 127, 7
        for _ in range(4):
            group = self.byte()
            result |= (group & 127) << shift
            shift += 7
            if group < 128:
                break
        return result & 0xFFFFFFFF

    def step(self) -> int:
        value = self.number()
        return (value >> 1) ^ -(value & 1)


def _triangles(data: bytes, count: int) -> list[int]:
    """Corners of triangles that share edges and vertices with those before."""
    if not data or data[0] & 0xF0 != _TRIANGLES or data[0] & 15 > 1 or count % 3:
        raise ValueError("an unknown version of the triangle codec")
    if len(data) < 1 + count // 3 + 16:
        raise IndexError("the triangles end early")
    near = 13 if data[0] & 15 else 15
    table = data[-16:]
    reader = _Reader(data, 1 + count // 3)
    # The last 16 edges and vertices, the newest last.
    edges = [(-1, -1)] * 16
    vertices = [-1] * 16
    following = last = 0
    out: list[int] = []
    for code in data[1 : 1 + count // 3]:
        if code < 0xF0:
            a, b = edges[-1 - (code >> 4)]
            choice = code & 15
            if choice < near:
                if choice == 0:
                    c = following
                    following += 1
                    vertices = [*vertices[1:], c]
                else:
                    c = vertices[-1 - choice]
            else:
                last = last + (choice - (choice ^ 3)) if choice != 15 else last + reader.step()
                c = last
                vertices = [*vertices[1:], c]
            edges = [*edges[2:], (c, b), (a, c)]
        else:
            if code < 0xFE:
                first, second = 0, table[code & 15]
            else:
                first, second = (0 if code == 0xFE else 15), reader.byte()
                if second == 0:
                    following = 0
            corners = []
            # What lies in the queue is looked up before anything new is put there.
            for choice in (first, second >> 4, second & 15):
                if choice == 0:
                    corners.append(following)
                    following += 1
                elif choice == 15 and code >= 0xFE:
                    corners.append(-1)
                else:
                    corners.append(vertices[-choice])
            kept = list(vertices)
            for place, choice in enumerate((first, second >> 4, second & 15)):
                if choice == 15 and code >= 0xFE:
                    last += reader.step()
                    corners[place] = last
                if place == 0 or choice == 0 or (choice == 15 and code >= 0xFE):
                    kept.append(corners[place])
            vertices = kept[-16:]
            a, b, c = corners
            edges = [*edges[3:], (b, a), (c, b), (a, c)]
        out += (a, b, c)
    if out and min(out) < 0:
        raise ValueError("the triangles point to edges that were not there")
    return out


def _indices(data: bytes, count: int) -> list[int]:
    """Indices in any order, each near one of the two before."""
    if not data or data[0] & 0xF0 != _INDICES or data[0] & 15 > 1:
        raise ValueError("an unknown version of the index codec")
    reader = _Reader(data, 1)
    last = [0, 0]
    out = []
    for _ in range(count):
        value = reader.number()
        which = value & 1
        value >>= 1
        last[which] += (value >> 1) ^ -(value & 1)
        out.append(last[which])
    if out and min(out) < 0:
        raise ValueError("an index below 0")
    return out
