"""Where a secret begins, and what only looks like one."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.ops.redaction import HIDDEN, clean, clean_text, may_hide

SEED = "SU" + "A" * 56


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SEED, HIDDEN),
        (f"with {SEED}.", f"with {HIDDEN}."),
        (SEED[:-1], SEED[:-1]),
        ("ST" + SEED[2:], "ST" + SEED[2:]),
        ("Bearer 12345678", f"Bearer {HIDDEN}"),
        ("Bearer 1234567", "Bearer 1234567"),
        ("hf_" + "a" * 20, HIDDEN),
        ("hf_" + "a" * 19, "hf_" + "a" * 19),
        ("nats://bob:pw@host:4222", f"nats://{HIDDEN}@host:4222"),
        ("nats://host:4222", "nats://host:4222"),
        ("mail bob@host", "mail bob@host"),
        ("eyJ" + "a" * 8 + "." + "b" * 8, HIDDEN),
        ("eyJ" + "a" * 8 + "." + "b" * 7, "eyJ" + "a" * 8 + "." + "b" * 7),
    ],
)
def test_what_has_the_form_of_a_secret_is_hidden(text: str, shown: str) -> None:
    assert clean_text(text) == shown
    if shown != text:
        assert may_hide(text, ())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "x", "seed": 7, "token": "100-1"}, {"password": HIDDEN, "seed": 7, "token": "100-1"}),
        ({"password": None, "secret": ""}, {"password": None, "secret": ""}),
        ({"a": [{"api_key": 7}]}, {"a": [{"api_key": HIDDEN}]}),
        ({7: "x", "b": ("y", 1.5)}, {7: "x", "b": ["y", 1.5]}),
    ],
)
def test_values_are_hidden_by_their_keys_wherever_they_stand(value: Any, shown: Any) -> None:
    assert clean(value) == shown


def within(levels: int, *, mappings: bool) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value} if mappings else [value]
    return value


@pytest.mark.parametrize("mappings", [True, False])
def test_what_lies_deeper_than_eight_levels_is_hidden_whole(mappings: bool) -> None:
    assert clean(within(8, mappings=mappings)) == within(8, mappings=mappings)
    assert HIDDEN in str(clean(within(9, mappings=mappings)))
    assert "'x'" not in str(clean(within(9, mappings=mappings)))


@pytest.mark.parametrize(
    ("line", "keys", "looked_at"),
    [
        ('{"event": "run started", "token": "100-1"}', ("event", "token"), False),
        ('{"event": "x", "password": "y"}', ("event", "password"), True),
        ('{"event": "x", "more": {"password": "y"}}', ("event", "more"), True),
        ('{"event": "BEARER 12345678"}', ("event",), True),
        (f'{{"event": "x{SEED}"}}', ("event",), True),
    ],
)
def test_a_line_of_the_log_is_looked_at_where_it_may_hold_a_secret(
    line: str, keys: tuple[str, ...], looked_at: bool
) -> None:
    assert may_hide(line, keys) is looked_at
