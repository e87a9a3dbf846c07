"""What a list calls a job."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.jobs import Job
from pocket3d.contracts.labels import MAX_LABEL_CHARS, job_label

FILE = {"artifact": "sha256-0", "filename": "cat.png"}


@pytest.mark.parametrize(
    ("inputs", "metadata", "label"),
    [
        ({}, {}, None),
        ({"text_prompt": "a red chair"}, {"order": 7}, "a red chair"),
        ({"text_prompt": " a\n\tchair "}, {}, "a chair"),
        ({"text_prompt": "a red chair"}, {"label": "row 7"}, "row 7"),
        ({"text_prompt": "a red chair"}, {"label": " "}, "a red chair"),
        ({"text_prompt": "a red chair"}, {"label": {"no": "text"}}, "a red chair"),
        ({"image_path": FILE}, {}, "cat.png"),
        ({"image_paths": [FILE, {"artifact": "sha256-1", "filename": "dog.png"}]}, {}, "cat.png, dog.png"),
        ({"image_paths": ["no file", FILE], "mesh_path": FILE}, {}, "cat.png, cat.png"),
        ({"mesh_path": {"result": "chair-1", "name": "mesh.glb"}}, {}, "of chair-1"),
        ({"mesh_path": {"artifact": "sha256-0"}, "seed": 7}, {}, None),
        ({"seed": 7}, {"deep": [1], "order": 7, "customer": "x"}, "order=7"),
        ({"thing": FILE}, {}, None),
    ],
)
def test_the_label(inputs: dict[str, Any], metadata: dict[str, Any], label: str | None) -> None:
    assert job_label(Job(inputs=inputs, metadata=metadata)) == label


def test_a_long_one_is_cut() -> None:
    label = job_label(Job(inputs={"text_prompt": "chair " * 100}))
    assert label is not None
    assert len(label) == MAX_LABEL_CHARS
    assert label.endswith("...") and label.isascii()


@pytest.mark.parametrize("length", [MAX_LABEL_CHARS - 1, MAX_LABEL_CHARS])
def test_one_that_just_fits_is_whole(length: int) -> None:
    assert job_label(Job(inputs={"text_prompt": "x" * length})) == "x" * length


def test_one_that_is_a_little_too_long_says_that_it_was_cut() -> None:
    text = "x" * (MAX_LABEL_CHARS + 1)
    assert job_label(Job(inputs={"text_prompt": text})) == "x" * (MAX_LABEL_CHARS - 3) + "..."
