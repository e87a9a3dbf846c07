"""The GLB container: one chunk of JSON and one of bytes (glTF 2.0, section 4.4)."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

import msgspec

from .limits import MIB, Refused

_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_MAX_JSON_BYTES = 32 * MIB
#: Of objects and lists in one another; what programs note for themselves is rarely ten deep.
_MAX_DEPTH = 100
#: What is in these is a program's own.
_OWN = ("extras", "extensions")


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Take a file apart into the JSON document and the binary chunk (empty if there is none)."""
    document, binary = look_into(data)
    return document, bytes(binary)


def look_into(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """As `unpack`, without a copy of the chunk."""
    if len(data) < 20 or data[:4] != b"glTF":
        raise Refused("no GLB file: it does not begin with 'glTF'")
    version, length, json_length, kind = struct.unpack_from("<IIII", data, 4)
    if version != 2:
        raise Refused(f"glTF version {version}; want 2")
    if length > len(data):
        raise Refused(f"it ends early: its header announces {length:,} bytes, {len(data):,} are there")
    if kind != _JSON_CHUNK or 20 + json_length > length:
        raise Refused("its first chunk is not the JSON one, or does not fit into the file")
    if json_length > _MAX_JSON_BYTES:
        raise Refused(f"{json_length:,} bytes of JSON, at most {_MAX_JSON_BYTES:,} are taken")
    binary = memoryview(b"")
    start = 20 + json_length
    while start + 8 <= length:
        size, kind = struct.unpack_from("<II", data, start)
        if start + 8 + size > length:
            raise Refused("it ends early: a chunk does not fit into the file")
        if kind == _BINARY_CHUNK:
            binary = memoryview(data)[start + 8 : start + 8 + size]
            break
        start += 8 + size
    return decoded(data[20 : 20 + json_length]), binary


def decoded(text: bytes) -> dict[str, Any]:
    """The JSON of a document. What is null in it is not there: glTF has no nulls, and some exporters write them.

    Raises:
        Refused: no JSON, no object, or nested deeper than those who copy it could follow.
    """
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"its JSON is broken: {error}") from error
    if not isinstance(document, dict):
        raise Refused("its JSON is no object")
    # Each with whether it is a program's own, of which nobody knows what null means there.
    level: list[tuple[Any, bool]] = [(document, False)]
    for _ in range(_MAX_DEPTH):
        following: list[tuple[Any, bool]] = []
        for each, own in level:
            if isinstance(each, list):
                following += [(value, own) for value in each if isinstance(value, (dict, list))]
                continue
            if not own:
                for key in [key for key, value in each.items() if value is None]:
                    del each[key]
            following += [(value, own or key in _OWN) for key, value in each.items() if isinstance(value, (dict, list))]
        level = following
        if not level:
            return document
    raise Refused(f"its JSON is nested deeper than {_MAX_DEPTH} levels")


def pack(document: dict[str, Any], binary: bytes | bytearray) -> bytes:
    """Put both together to a GLB file."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    padding = b"\0" * (-len(binary) % 4)
    size = len(binary) + len(padding)
    header = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + size, len(text), _JSON_CHUNK)
    return b"".join((header, text, struct.pack("<II", size, _BINARY_CHUNK), binary, padding))


class GlbBuffer(NamedTuple):
    """The binary chunk while it grows, with its views and accessors."""

    data: bytearray
    views: list[dict[str, Any]]
    accessors: list[dict[str, Any]]

    def view(self, data: bytes, target: int | None = None) -> int:
        """Add bytes; returns the number of their view."""
        self.data.extend(b"\0" * (-len(self.data) % 4))
        entry: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            entry["target"] = target
        self.data.extend(data)
        self.views.append(entry)
        return len(self.views) - 1

    def accessor(self, values: Any, kind: str, component: int, target: int | None = None, bounds: bool = False) -> int:
        """Add a numpy array, with its columns' least and largest if `bounds`; returns the number of its accessor."""
        entry: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": component,
            "count": len(values) if kind != "SCALAR" else values.size,
            "type": kind,
        }
        if bounds:
            entry["min"] = [float(v) for v in values.min(axis=0)]
            entry["max"] = [float(v) for v in values.max(axis=0)]
        self.accessors.append(entry)
        return len(self.accessors) - 1
