"""What a message takes on the wire."""

from __future__ import annotations

from collections.abc import Mapping


def header_size(headers: Mapping[str, str] | None) -> int:
    """Bytes that headers take on the wire; they count against max_payload."""
    if not headers:
        return 0
    return 12 + sum(len(key.encode()) + len(value.encode()) + 4 for key, value in headers.items())
