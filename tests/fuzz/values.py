"""Values of strangers: what nobody sane would send, and what comes of sound bytes on a bad way."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
from msgspec import inspect

NUMBERS: tuple[Any, ...] = (
    0, -0.0, 1, -1, 0.5, 7, 100, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1,
    10**18, 10**400, 1e-308, 1e308, 1.7e308, -1e308, 1e15, 1e10, 3600,
)  # fmt: skip
TEXTS = (
    "", " ", "a", "j1", "echo", "text_to_mesh", "a1", "a b", "a.b", "a*", "a>", "../x", "/etc/passwd", "~nobody/x",
    "\0", "a\0b", "\n", "\x1b[2J", "²", "٣", "١٢-x", "1-x", "²-x", "null", "true", "NaN", "s0t2k3m-17",
    "sculpture-1", "CUDA out of memory", "2026-02-30T25:61:61Z", "\u202e", "椅子", "\U0001f600", "-1", "1e400", "0x10",
    "__proto__", "$ref", "x" * 200, "9" * 26, "9" * 5000, "y" * 20_000,
)  # fmt: skip
BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"\xfb\xff",
    b"{",
    b"[" * 3000,
    b'"',
    b"null",
    b"9" * 5000,
    b"1e400",
    b"-",
    b"\\ud800",
    b"\r\n",
)


def number(dice: random.Random) -> Any:
    """A number."""
    return dice.choice(NUMBERS) if dice.random() < 0.6 else dice.choice((dice.randrange(300), dice.uniform(-5, 500)))


def text(dice: random.Random) -> str:
    """A text, never half of a surrogate pair: JSON cannot carry that."""
    if dice.random() < 0.7:
        return dice.choice(TEXTS)
    signs = (dice.choice("ab-_ .:/*>\n\0²é椅\U0001f600") for _ in range(dice.randrange(12)))
    return "".join(signs)


def anything(dice: random.Random, depth: int = 3) -> Any:
    """A value of JSON."""
    kind = dice.randrange(9 if depth else 5)
    if kind < 2:
        return number(dice)
    if kind < 4:
        return text(dice)
    if kind == 4:
        return dice.choice((None, True, False))
    if kind < 7:
        return [anything(dice, depth - 1) for _ in range(dice.randrange(4))]
    return {text(dice): anything(dice, depth - 1) for _ in range(dice.randrange(4))}


def deep(levels: int) -> Any:
    """Lists inside one another."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def message(kind: Any, dice: random.Random, spoil: float = 0.0) -> Any:
    """A value of a message's type as plain JSON values.

    Args:
        kind: the type.
        dice: chooses.
        spoil: how likely each part of it is replaced by anything.
    """
    return _of(inspect.type_info(kind), dice, spoil)


def _of(info: inspect.Type, dice: random.Random, spoil: float) -> Any:
    if spoil and dice.random() < spoil:
        return anything(dice)
    if isinstance(info, inspect.Metadata):
        return _of(info.type, dice, spoil)
    if isinstance(info, inspect.UnionType):
        return _of(dice.choice(info.types), dice, spoil)
    if isinstance(info, inspect.StructType):
        given = [each for each in info.fields if each.required or dice.random() < 0.6]
        body = {each.encode_name: _of(each.type, dice, spoil) for each in given}
        if info.tag_field is not None:
            body[info.tag_field] = info.tag
        return body
    if isinstance(info, inspect.IntType | inspect.FloatType):
        return _number(info, dice)
    if isinstance(info, inspect.LiteralType):
        return dice.choice(info.values)
    if isinstance(info, inspect.EnumType):
        return dice.choice(list(info.cls)).value
    if isinstance(info, inspect.BoolType):
        return dice.random() < 0.5
    if isinstance(info, inspect.NoneType):
        return None
    if isinstance(info, inspect.ListType | inspect.VarTupleType):
        return [_of(info.item_type, dice, spoil) for _ in range(dice.randrange(3))]
    if isinstance(info, inspect.DictType):
        return {text(dice): _of(info.value_type, dice, spoil) for _ in range(dice.randrange(3))}
    if isinstance(info, inspect.AnyType):
        return anything(dice)
    if isinstance(info, inspect.StrType):
        return text(dice)
    raise NotImplementedError(f"no values of {info}")


def _number(info: inspect.IntType | inspect.FloatType, dice: random.Random) -> Any:
    low = info.ge if info.ge is not None else info.gt if info.gt is not None else -1000
    high = info.le if info.le is not None else info.lt if info.lt is not None else 1000
    drawn = dice.choice((low, high, low + (high - low) * dice.random() ** 6))
    return int(drawn) if isinstance(info, inspect.IntType) else float(drawn) or (0.0 if info.gt is None else 1e-3)


def as_json(value: Any, dice: random.Random) -> bytes:
    """A value as any program might write it."""
    return json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def as_msgpack(value: Any) -> bytes:
    """A value as a worker might write it; numbers beyond 64 bits as floats."""
    return msgspec.msgpack.encode(_narrow(value))


def _narrow(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _narrow(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_narrow(each) for each in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return 1e308
    return value


def spoilt(data: bytes, dice: random.Random) -> bytes:
    """Bytes with some changed, lost, doubled or put in."""
    body = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        at = dice.randrange(len(body) + 1)
        much = dice.choice((1, 1, 2, 8, 64))
        how = dice.randrange(6)
        if how == 0 and at < len(body):
            body[at] = dice.randrange(256)
        elif how == 1 and at < len(body):
            body[at] ^= 1 << dice.randrange(8)
        elif how == 2:
            del body[at : at + much]
        elif how == 3:
            body[at:at] = dice.choice(BYTES)
        elif how == 4:
            body[at:at] = body[at : at + much]
        elif dice.random() < 0.2:
            del body[at:]
        if len(body) > 2_000_000:
            break
    return bytes(body)
