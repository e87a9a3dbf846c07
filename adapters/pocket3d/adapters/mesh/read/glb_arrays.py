"""The numbers of a GLB file: buffers, views and accessors, judged against each other (glTF 2.0, section 3.6)."""

from __future__ import annotations

import base64
import binascii
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .glb_container import GlbBuffer
from .glb_document import Accessor, Document
from .limits import MeshLimits, Refused

#: Component types, as numpy names them.
DTYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
#: Components of an element.
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
FLOAT = 5126
Array = npt.NDArray[Any]


class Arrays:
    """All arrays of one document, and those of its reduced copy: what was kept of the file and what was added."""

    def __init__(self, document: Document, binary: bytes | memoryview, limits: MeshLimits) -> None:
        self._document = document
        self._limits = limits
        self._buffers = [self._buffer(index, binary) for index in range(len(document.buffers))]
        self._check_views()
        for index, accessor in enumerate(document.accessors):
            self._check_accessor(index, accessor)
        self._kept: dict[int, int] = {}

    @cached_property
    def _copy(self) -> GlbBuffer:
        starts = np.cumsum([0, *(len(each) for each in self._buffers)]).tolist()
        views = [
            {
                "buffer": 0,
                "byteOffset": view.byteOffset + starts[view.buffer],
                "byteLength": view.byteLength,
                **({} if view.byteStride is None else {"byteStride": view.byteStride}),
            }
            for view in self._document.bufferViews
        ]
        return GlbBuffer(bytearray().join(self._buffers), views, [])

    def view(self, index: int, what: str) -> bytes:
        """The bytes of a view."""
        if index >= len(self._document.bufferViews):
            raise Refused(f"{what} points to bufferView {index}, which is not there")
        view = self._document.bufferViews[index]
        return bytes(self._buffers[view.buffer][view.byteOffset : view.byteOffset + view.byteLength])

    def accessor(self, index: int | None, what: str, kinds: tuple[str, ...]) -> Accessor:
        """Look an accessor up that must be there, hold its own data and be of one of these kinds."""
        if index is None:
            raise Refused(f"a primitive lacks {what}")
        if index >= len(self._document.accessors):
            raise Refused(f"{what} points to accessor {index}, which is not there")
        accessor = self._document.accessors[index]
        if accessor.type not in kinds:
            raise Refused(f"{what} is {accessor.type}; want {' or '.join(kinds)}")
        if accessor.bufferView is None or accessor.sparse is not None:
            raise Refused(f"{what} is a sparse accessor or one without data, which is not supported")
        return accessor

    def rows(self, index: int) -> Array:
        """(count, components) of an accessor that `accessor` found sound; normalised whole numbers as floats."""
        rows = self.stored(index)
        return as_floats(rows) if self._document.accessors[index].normalized else rows

    def stored(self, index: int) -> Array:
        """(count, components) of an accessor that `accessor` found sound, as they are in the file."""
        accessor = self._document.accessors[index]
        assert accessor.bufferView is not None
        view = self._document.bufferViews[accessor.bufferView]
        dtype, width = np.dtype(DTYPES[accessor.componentType]), WIDTHS[accessor.type]
        strides = (view.byteStride or dtype.itemsize * width, dtype.itemsize)
        start = view.byteOffset + accessor.byteOffset
        rows: Array = np.ndarray((accessor.count, width), dtype, self._buffers[view.buffer], start, strides)
        return rows

    def keep(self, index: int) -> int:
        """Keep an accessor of the file; returns its number in the reduced copy."""
        if index not in self._kept:
            accessor = self._document.accessors[index]
            plain = {"componentType": accessor.componentType, "type": accessor.type, "count": accessor.count}
            self._kept[index] = len(self._copy.accessors)
            self._copy.accessors.append({**plain, "bufferView": accessor.bufferView, "byteOffset": accessor.byteOffset})
        return self._kept[index]

    def add(self, rows: Array, kind: str) -> int:
        """Put floats into the reduced copy; returns the number of their accessor."""
        return self._copy.accessor(rows.astype("<f4"), kind, FLOAT)

    def reduced(self) -> tuple[dict[str, Any], bytearray]:
        """Accessors, views and the one buffer of the reduced copy, and the bytes of that."""
        data, views, accessors = self._copy
        return {"accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": len(data)}]}, data

    def _buffer(self, index: int, binary: bytes | memoryview) -> bytes | memoryview:
        buffer = self._document.buffers[index]
        if buffer.uri is None:
            if index != 0:
                raise Refused(f"buffer {index} has no data")
            data: bytes | memoryview = binary
        else:
            data = inline(buffer.uri, f"buffer {index}")
        if len(data) < buffer.byteLength:
            raise Refused(f"buffer {index} announces {buffer.byteLength:,} bytes, {len(data):,} are there")
        return data[: buffer.byteLength]

    def _check_views(self) -> None:
        total = 0
        for index, view in enumerate(self._document.bufferViews):
            if view.buffer >= len(self._buffers):
                raise Refused(f"bufferView {index} points to buffer {view.buffer}, which is not there")
            if view.byteOffset + view.byteLength > len(self._buffers[view.buffer]):
                raise Refused(f"bufferView {index} reaches beyond its buffer")
            total += view.byteLength
        # The parser copies each view, so views that overlap multiply.
        most = 2 * self._limits.max_bytes
        if total > most:
            raise Refused(f"its buffer views hold {total:,} bytes together, at most {most:,} are taken")

    def _check_accessor(self, index: int, accessor: Accessor) -> None:
        what = f"accessor {index}"
        if accessor.componentType not in DTYPES or accessor.type not in WIDTHS:
            raise Refused(f"{what} has the unknown type {accessor.componentType} {accessor.type!r}")
        if accessor.bufferView is None:
            return
        if accessor.bufferView >= len(self._document.bufferViews):
            raise Refused(f"{what} points to bufferView {accessor.bufferView}, which is not there")
        view = self._document.bufferViews[accessor.bufferView]
        row = np.dtype(DTYPES[accessor.componentType]).itemsize * WIDTHS[accessor.type]
        stride = view.byteStride or row
        if stride < row:
            raise Refused(f"{what}: rows of {row} bytes do not fit into a stride of {stride}")
        reach = accessor.byteOffset + (accessor.count - 1) * stride + row if accessor.count else 0
        if reach > view.byteLength:
            raise Refused(f"{what} announces {accessor.count:,} elements and reaches beyond its bufferView")


def as_floats(rows: Array) -> Array:
    """Normalised whole numbers as -1..1 or 0..1; floats as they are."""
    return np.maximum(rows / np.iinfo(rows.dtype).max, -1.0) if rows.dtype.kind in "ui" else rows


def inline(uri: str, what: str) -> bytes:
    """Decode the bytes of a data address."""
    if not uri.startswith("data:"):
        raise Refused(
            f"{what} lies in another file ({uri[:80]!r}), which is never opened; export one GLB with all in it"
        )
    head, comma, text = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise Refused(f"{what}: its data address is no base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"{what}: its base64 is broken: {error}") from error
