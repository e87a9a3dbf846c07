"""What people are told of a result beside its files."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.messages import Result
from pocket3d.ops.result_remarks import made, remarks


def result(outputs: dict[str, Any] | None, status: str = "succeeded") -> Result:
    return Result(job_id="j", feature="f", status=status, outputs=outputs)


@pytest.mark.parametrize(
    ("outputs", "told"),
    [
        (None, None),
        ({"echoed": True}, None),
        (
            {"bone_count": 8, "rig_info": {"bone_count": 8, "vertex_count": 3, "face_count": 1}},
            "8 bones, 3 vertices, 1 face",
        ),
        ({"num_parts": 7, "segmentation_info": {"num_parts": 7}}, "7 parts"),
        (
            {"num_parts": 2, "completion_info": {"holes_filled": 0, "closed_parts": 2}},
            "2 parts, 0 holes closed, nothing to do: nothing was open",
        ),
        ({"num_parts": 2, "completion_info": {"holes_filled": 0, "closed_parts": 1}}, "2 parts, 0 holes closed"),
        ({"num_parts": 1, "completion_info": {"holes_filled": 1, "closed_parts": 1}}, "1 part, 1 hole closed"),
        ({"generation_info": {"statistics": {"vertices": 5, "faces": 6}, "vertex_count": 9}}, "5 vertices, 6 faces"),
        # Whatever an adapter writes.
        ({"bone_count": "many", "rig_info": ["no"], "x_info": {"statistics": 3}}, None),
    ],
)
def test_what_was_made(outputs: dict[str, Any] | None, told: str | None) -> None:
    assert made(result(outputs)) == told
    assert made(result(outputs, "failed")) is None


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({}, []),
        ({"ignored": ["eiffel", "sharp"]}, ["ignored: eiffel, sharp"]),
        ({"ignored_words": ["old"], "ignored": ["a camera"], "lost": []}, ["ignored: old, a camera"]),
        (
            {"ignored": ["a word", "lights: only the geometry is read", "TEXCOORD_1: the first set is read"]},
            [
                "ignored: a word",
                "ignored: lights: only the geometry is read",
                "ignored: TEXCOORD_1: the first set is read",
            ],
        ),
        ({"lost": ["colours: STL has none", "names"]}, ["lost: colours: STL has none", "lost: names"]),
        ({"warnings": ["fewer faces"], "notes": ["fewer\nfaces"]}, ["note: fewer faces"]),
        ({"rig_type": "unknown"}, ["note: no body plan is known to this rigger, its bones follow the shape alone"]),
        ({"ignored": [1, None, {"a": 1}], "lost": "text", "notes": {"a": 1}}, []),
    ],
)
def test_what_was_ignored_or_lost(info: dict[str, Any], told: list[str]) -> None:
    assert remarks(result({"any_info": info})) == told


def test_a_remark_is_short() -> None:
    (line,) = remarks(result({"x_info": {"ignored": ["word"] * 1000}}))
    assert len(line) <= 300


def test_what_is_left_out_of_many_remarks_is_counted() -> None:
    many = [f"word{number}" for number in range(20)]
    (ignored,) = remarks(result({"x_info": {"ignored": many}}))
    assert ignored == f"ignored: {', '.join(many[:12])}"
    lines = remarks(result({"x_info": {"lost": many}}))
    assert lines[12:] == ["note: 8 more of these; `pocket3d result --json` has all"]
    (cut,) = remarks(result({"x_info": {"notes": ["x" * 400]}}))
    (whole,) = remarks(result({"x_info": {"notes": ["x" * 294]}}))
    assert (len(cut), cut[-1], len(whole), whole[-1]) == (300, "…", 300, "x")
