"""Tables of numbers as text, many rows at once."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Rows that are formatted at once.
_ROWS = 65_536


def rows_text(row: str, table: Any, *, end: str = "\n", whole: bool = False) -> bytes:
    """Numbers (N, K) in the form of a row, each with `end` behind it; `whole` ones are not made floats."""
    values = np.asarray(table, dtype=np.int64 if whole else np.float64)
    pieces = []
    for start in range(0, len(values), _ROWS):
        chunk = values[start : start + _ROWS]
        pieces.append(((row + end) * len(chunk) % tuple(chunk.reshape(-1).tolist())).encode())
    return b"".join(pieces)
