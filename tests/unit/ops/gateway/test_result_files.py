"""Which of a result's files is the one that was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.messages import Artifact, JobError, Result
from pocket3d.ops.gateway.errors import HttpError
from pocket3d.ops.gateway.result_files import main_file, thumbnail, why


def made(*names: str, feature: str = "text_to_mesh", **outputs: Any) -> Result:
    artifacts = [Artifact(name=name, bucket="b", object=name, size=1, sha256="0", media_type="x/y") for name in names]
    return Result(job_id="j", feature=feature, status="succeeded", artifacts=artifacts, outputs=outputs)


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (made("a.glb"), "a.glb"),
        (made("t.png", "a.glb", output_mesh_path="a.glb", thumbnail_path="t.png"), "a.glb"),
        (made("a.txt", "b.txt", feature="of_their_own", file_path="b.txt"), "b.txt"),
        (made("a.glb", output_mesh_path="elsewhere.glb"), "a.glb"),
    ],
    ids=["the only one", "as the outputs name it", "of another feature", "the only one, though named otherwise"],
)
def test_the_file_that_was_asked_for(result: Result, name: str) -> None:
    assert main_file(result).name == name


@pytest.mark.parametrize("names", [(), ("a.glb", "b.glb")], ids=["none", "two that nobody names"])
def test_no_file_is_guessed(names: tuple[str, ...]) -> None:
    with pytest.raises(HttpError, match="made no file that its result names") as refused:
        main_file(made(*names))
    assert refused.value.code == 404


def test_a_job_that_did_not_succeed_has_none() -> None:
    error = JobError(code="invalid_input", message="too small", field="inputs.image_path")
    failed = Result(job_id="j", feature="echo", status="failed", error=error)
    with pytest.raises(HttpError) as refused:
        main_file(failed)
    said = "the job ended as failed: inputs.image_path: too small (invalid_input)"
    assert (refused.value.code, refused.value.message) == (409, said)
    assert why(Result(job_id="j", feature="echo", status="cancelled")) == "the job ended as cancelled"


def test_the_thumbnail_is_that_which_the_outputs_name() -> None:
    found = thumbnail(made("t.png", "u.png", thumbnail_path="u.png"))
    assert found is not None and found.name == "u.png"
    assert thumbnail(made("t.png")) is None
