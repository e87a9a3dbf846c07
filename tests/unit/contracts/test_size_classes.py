"""Size classes: what is counted of a job's inputs, and which class it makes."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.size_classes import (
    INPUT_BYTES_HEADER,
    SIZE_CLASSES,
    bytes_of_artifacts,
    in_words,
    known_class,
    own_bytes,
    size_class,
    size_header,
)

MIB = 1024 * 1024
MESH, PHOTO = {"artifact": "sha256-a"}, {"artifact": "sha256-b"}


@pytest.mark.parametrize(
    ("total", "name"),
    [
        (None, None),
        (0, None),
        (1, "64KiB"),
        (64 * 1024, "64KiB"),
        (64 * 1024 + 1, "1MiB"),
        (8 * MIB, "8MiB"),
        (9 * MIB, "64MiB"),
        (512 * MIB, "512MiB"),
        (2**60, "larger"),
    ],
)
def test_the_class_of_so_many_bytes(total: int | None, name: str | None) -> None:
    assert size_class(total) == name
    assert known_class(name) == name


def test_a_class_of_another_version_counts_as_none() -> None:
    assert known_class("2EiB") is None
    assert [in_words(each) for each in SIZE_CLASSES][-2:] == ["files of up to 512MiB", "files of more than 512MiB"]


@pytest.mark.parametrize(
    ("inputs", "artifacts", "total"),
    [
        ({"text_prompt": "a chair"}, None, 0),
        ({"mesh_path": MESH}, 5000, 5000),
        ({"mesh_path": MESH}, None, None),
        ({"image_path": {"inline": "AAAA" * 100, "filename": "a.png"}}, None, 300),
        ({"image_paths": [MESH, {"inline": "AAAA", "filename": "a.png"}]}, 10, 13),
        ({"mesh_path": {"result": "chair"}}, None, 0),
        ({"mesh_path": None, "note": {"artifact": "no file"}}, None, 0),
    ],
    ids=["none", "uploaded", "not said", "in the request", "both", "another job's", "no files"],
)
def test_what_is_counted(inputs: dict[str, Any], artifacts: int | None, total: int | None) -> None:
    assert own_bytes(inputs, artifacts) == total


def test_what_is_no_file_hides_none_of_those_after_it() -> None:
    assert own_bytes({"image_paths": ["no file", {"inline": "AAAA" * 10}]}, None) == 30


def test_the_header_says_what_its_reader_reads() -> None:
    inputs = {"mesh_path": MESH, "image_paths": [PHOTO, PHOTO]}
    assert size_header(inputs, {"sha256-a": 7, "sha256-b": 100}) == {INPUT_BYTES_HEADER: "207"}
    assert size_header(inputs, {"sha256-a": 7}) == size_header({"text_prompt": "a chair"}, {}) == {}
    assert (bytes_of_artifacts("207"), bytes_of_artifacts(None), bytes_of_artifacts("many")) == (207, None, None)
