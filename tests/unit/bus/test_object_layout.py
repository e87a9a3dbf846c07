"""Records of stored files, as other clients write them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.bus.jetstream.objects.layout import CHUNK_BYTES, ObjectRecord


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"size": 1000, "chunks": 4, "options": {"max_chunk_size": 300}}, 300),
        ({"size": 1000, "chunks": 4, "options": {}}, 250),
        ({"size": 1001, "chunks": 4}, 251),
        ({"size": 0, "chunks": 0}, CHUNK_BYTES),
    ],
    ids=["stated", "options without it", "no options", "empty"],
)
def test_the_size_of_its_chunks(stated: dict[str, Any], expected: int) -> None:
    assert msgspec.convert({"name": "a", "bucket": "b", **stated}, ObjectRecord).chunk_bytes == expected
