"""Files that nothing refers to: what is removed, and what is left alone."""

from __future__ import annotations

import pytest

from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import Artifact, Result
from pocket3d.coordinator.leadership.orphans import LooseUploads, due_job, is_named

NAME = "j1/7-1/chair.glb"


def stored(*objects: str) -> bytes:
    artifacts = [
        Artifact(name="chair.glb", bucket="P3D_OUTPUTS", object=each, size=1, sha256="", media_type="model/gltf-binary")
        for each in objects
    ]
    return encode(Result(job_id="j1", feature="echo", status="succeeded", artifacts=artifacts))


@pytest.mark.parametrize(
    ("result", "named"),
    [
        (stored(NAME), True),
        (stored("j1/7-2/chair.glb"), False),
        (stored(), False),
        (stored(NAME).replace(b"/", b"\\/"), True),
        (b"of a later version, or nobody's", True),
    ],
    ids=["its own", "another attempt's", "none", "escaped", "unreadable"],
)
def test_a_result_names_its_objects(result: bytes, named: bool) -> None:
    assert is_named(NAME, result, "j1") is named


@pytest.mark.parametrize(
    ("name", "age_s", "job"),
    [
        (NAME, 61.0, "j1"),
        (NAME, 59.0, None),
        ("j1/7-1/textures/a.png", 61.0, "j1"),
        ("notes.txt", 61.0, None),
        ("an operator's/own/file", 61.0, None),
        ("sha256-00", 61.0, None),
    ],
)
def test_only_old_outputs_of_jobs_are_asked_for(name: str, age_s: float, job: str | None) -> None:
    assert due_job(name, 1000.0, 1000.0 + age_s, 60.0) == job


def test_an_upload_that_stands_still_for_the_grace_was_broken_off() -> None:
    loose = LooseUploads(60.0)
    assert loose.broken_off({"whole": 4, "half": 2}, ["whole"], 100.0) == []
    assert loose.broken_off({"whole": 4, "half": 2}, ["whole"], 159.0) == []
    assert loose.broken_off({"whole": 4, "half": 2}, ["whole"], 160.0) == ["half"]


def test_an_upload_that_grows_goes_on() -> None:
    loose = LooseUploads(60.0)
    for number in range(5):
        assert loose.broken_off({"half": number + 1}, [], 100.0 + 59.0 * number) == []
    assert loose.broken_off({"half": 5}, [], 100.0 + 59.0 * 4 + 60.0) == ["half"]


def test_an_upload_that_ended_is_forgotten() -> None:
    loose = LooseUploads(60.0)
    loose.broken_off({"half": 2}, [], 100.0)
    assert loose.broken_off({"half": 2}, ["half"], 150.0) == []
    assert loose.broken_off({"half": 2}, [], 200.0) == []
