"""A request to a program as a value: a form with files (multipart/form-data, RFC 7578), or a JSON document."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "glb": "model/gltf-binary",
    "obj": "model/obj",
    "stl": "model/stl",
}
#: Names in a form's headers stand in quotes, and end with the line (HTML's rule for forms).
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class Request(NamedTuple):
    """One request. The body is its pieces one after the other; a path stands for the content of that file."""

    method: str
    path: str
    content_type: str | None = None
    pieces: tuple[bytes | Path, ...] = ()

    def size(self) -> int:
        """Bytes of the body."""
        return sum(len(each) if isinstance(each, bytes) else each.stat().st_size for each in self.pieces)


def form(path: str, fields: Mapping[str, str | Path], boundary: str | None = None) -> Request:
    """POST a form. A path is sent as a file, named by its field and its own suffix: what a producer called it stays
    here.
    """
    line = f"--{boundary or secrets.token_hex(16)}"
    pieces: list[bytes | Path] = []
    for name, value in fields.items():
        quoted = name.translate(_ESCAPES)
        head = f'{line}\r\nContent-Disposition: form-data; name="{quoted}"'
        if isinstance(value, Path):
            suffix = value.suffix.lower().removeprefix(".")
            kind = _TYPES.get(suffix, "application/octet-stream")
            head += f'; filename="{quoted}.{suffix.translate(_ESCAPES)}"\r\nContent-Type: {kind}'
            pieces += [f"{head}\r\n\r\n".encode(), value, b"\r\n"]
        else:
            pieces.append(f"{head}\r\n\r\n{value}\r\n".encode())
    pieces.append(f"{line}--\r\n".encode())
    return Request("POST", path, f"multipart/form-data; boundary={line[2:]}", tuple(pieces))


def document(path: str, value: Any) -> Request:
    """POST a JSON document."""
    return Request("POST", path, "application/json", (msgspec.json.encode(value),))
