"""What is no subject: a server would close the connection over it, or take it for something else."""

from __future__ import annotations

import pytest

from pocket3d.bus.errors import Refused
from pocket3d.bus.names import check_subject

LONGEST = 3900


@pytest.mark.parametrize("subject", ["", " ", "a b", "a\tb", "a\rb", "a\nPUB b 0", "a.b\n"])
def test_a_subject_is_not_empty_and_has_no_white_space(subject: str) -> None:
    with pytest.raises(Refused, match="is no subject"):
        check_subject(subject)


@pytest.mark.parametrize(
    ("subject", "reply"),
    [("a" * LONGEST, ""), ("a" * (LONGEST - 20), "b" * 20), ("é" * (LONGEST // 2), ""), ("🐕" * (LONGEST // 4), "")],
)
def test_a_line_is_as_long_as_a_server_takes_with_the_subject_of_the_answer(subject: str, reply: str) -> None:
    """It counts bytes, and closes the connection at 4096 of them."""
    check_subject(subject, reply)
    with pytest.raises(Refused, match=f"too long for a subject: {len(subject) + len(reply) + 1} characters"):
        check_subject(subject + "a", reply)
    with pytest.raises(Refused, match="too long"):
        check_subject(subject, reply + "b")
