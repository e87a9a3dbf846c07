"""What cannot be sent as JSON is refused where it stands."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.bus.client.errors import JobRefused
from pocket3d.bus.client.submission import check_plain


@pytest.mark.parametrize(
    ("value", "path", "words"),
    [
        ({"a": ["\ud800"]}, "inputs.a[0]", "not valid Unicode"),
        ({"a": {"\ud800": 1}}, "inputs.a", "not valid Unicode"),
        ({"a": {1: 1}}, "inputs.a", "the key 1 is not a string"),
        ({"a": 1 << 64}, "inputs.a", "does not fit into 64 bits"),
        ({"a": (0.5, float("nan"))}, "inputs.a[1]", "nan is not a number that JSON knows"),
        ({"a": b"x"}, "inputs.a", "a bytes cannot be sent as JSON"),
    ],
)
def test_what_is_no_json_value_is_refused_with_its_place(value: Any, path: str, words: str) -> None:
    with pytest.raises(JobRefused) as refused:
        check_plain(value, "inputs")
    assert refused.value.field == path
    assert words in refused.value.message


def test_what_json_knows_passes() -> None:
    check_plain({"a": [None, True, 3, 0.5, "ü"], "b": {"ü": ()}}, "inputs")
