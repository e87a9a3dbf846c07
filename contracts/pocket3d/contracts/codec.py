"""JSON in and out, with errors that name the field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_AT = re.compile(r" - at `(?P<path>.+)`$")
_NAMED = re.compile(r"(?:unknown field|missing required field) `(?P<name>.*)`", re.DOTALL)


def is_wire_integer(value: int) -> bool:
    """True for a whole number that messages can carry: one that fits into 64 bits, with or without a sign."""
    return -(2**63) <= value < 2**64


class WireError(ValueError):
    """A message is not of the shape that its subject carries.

    Attributes:
        field: dotted path of the field at fault (`limits.load_s`), or `body` when the whole message is.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def encode(message: Any) -> bytes:
    """One message as UTF-8 JSON on one line."""
    return _encoder.encode(message)


def decode(kind: type[T], data: bytes) -> T:
    """A message of type `kind`.

    Raises:
        WireError: not JSON, or not of that shape.
    """
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise _named(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError("body", f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise WireError("body", "nested too deeply") from error


def decode_union(union: Any, data: bytes) -> Any:
    """As `decode`, for a union of tagged messages, which is no `type`."""
    return decode(union, data)


def convert(kind: type[T], value: Any) -> T:
    """A decoded JSON value as a message of type `kind`.

    Raises:
        WireError: not of that shape.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _named(error) from error


def _named(error: msgspec.ValidationError) -> WireError:
    """msgspec puts the place at the end of its text: `... - at `$.limits.load_s``."""
    text = str(error)
    path: list[str] = []
    found = _AT.search(text)
    if found:
        inside = found["path"].removeprefix("key in ").removeprefix("$").strip(".")
        path = [part for part in inside.split(".") if part]
        text = text[: found.start()]
    named = _NAMED.search(text)
    if named:
        path.append(named["name"])
    return WireError(".".join(path) or "body", text)
