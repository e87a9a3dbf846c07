"""Accessors of a GLB document of which only some rows are stored (glTF 2.0, section 3.6.2.3), as morph targets are."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from .glb_arrays import DTYPES, WIDTHS, Array, Arrays
from .glb_document import Document, Index, Size

_UNSIGNED = (5121, 5123, 5125)
#: Rows of one accessor: what is not stored takes no bytes of the file, so these say nothing of it.
_MOST = 20_000_000


class _Part(msgspec.Struct):
    bufferView: Index
    byteOffset: Size = 0
    componentType: int = 0


class _Sparse(msgspec.Struct):
    count: Size
    indices: _Part
    values: _Part


def is_dense(document: Document, arrays: Arrays, index: int) -> bool:
    """Whether `dense` gives the rows of an accessor: it is there, and what it says of them is true."""
    if not 0 <= index < len(document.accessors):
        return False
    accessor = document.accessors[index]
    if accessor.sparse is None:
        return accessor.bufferView is not None
    found = _read(document, arrays, index) if accessor.count <= _MOST else None
    return found is not None and bool((found[0] < accessor.count).all())


def dense(document: Document, arrays: Arrays, index: int) -> Array:
    """(count, components) of an accessor as they are meant: rows that are not stored are 0, or the dense ones."""
    accessor = document.accessors[index]
    if accessor.sparse is None:
        return arrays.stored(index)
    found = _read(document, arrays, index)
    assert found is not None, "is_dense says so"
    if accessor.bufferView is None:
        rows: Array = np.zeros((accessor.count, WIDTHS[accessor.type]), np.dtype(DTYPES[accessor.componentType]))
    else:
        rows = arrays.stored(index).copy()
    rows[found[0]] = found[1]
    return rows


def _read(document: Document, arrays: Arrays, index: int) -> tuple[Array, Array] | None:
    """The numbers of the rows that are stored, and those rows; None where they are not."""
    accessor = document.accessors[index]
    try:
        sparse = msgspec.convert(accessor.sparse, _Sparse)
    except msgspec.ValidationError:
        return None
    if sparse.indices.componentType not in _UNSIGNED or sparse.count > accessor.count:
        return None
    numbers = _rows(document, arrays, sparse.indices, np.dtype(DTYPES[sparse.indices.componentType]), 1, sparse.count)
    dtype = np.dtype(DTYPES[accessor.componentType])
    values = _rows(document, arrays, sparse.values, dtype, WIDTHS[accessor.type], sparse.count)
    return None if numbers is None or values is None else (numbers.reshape(-1).astype(np.int64), values)


def _rows(
    document: Document, arrays: Arrays, part: _Part, dtype: np.dtype[Any], width: int, count: int
) -> Array | None:
    if part.bufferView >= len(document.bufferViews):
        return None
    data = arrays.view(part.bufferView, "a sparse accessor")
    if part.byteOffset + count * width * dtype.itemsize > len(data):
        return None
    rows: Array = np.frombuffer(data, dtype, count * width, part.byteOffset).reshape(count, width)
    return rows
