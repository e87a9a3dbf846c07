"""What `pocket3d purge` may remove, and what somebody still needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocket3d.contracts.messages import Artifact, Result, Status
from pocket3d.ops.purging import Ended, due, ended_job, environments_in_use, named_in, with_own_files


def file(job_id: str, name: str = "mesh.glb", size: int = 10, bucket: str = "P3D_OUTPUTS") -> Artifact:
    return Artifact(name=name, bucket=bucket, object=f"{job_id}/{name}", size=size, sha256="0", media_type="x/y")


def ended(job_id: str, at: float, *artifacts: Artifact) -> Ended:
    return Ended(job_id, "echo", "succeeded", at, artifacts)


def status(word: Any, at: str = "1970-01-01T00:01:00.000Z") -> Status:
    return Status(job_id="j1", feature="echo", priority="normal", tenant="default", status=word, attempt=1, at=at)


@pytest.mark.parametrize("word", ["succeeded", "failed", "cancelled", "expired", "rejected"])
def test_an_ended_job_may_be_removed_with_its_files(word: str) -> None:
    result = Result(job_id="j1", feature="echo", status=word, artifacts=[file("j1"), file("j1", "t.png", 5)])
    found = ended_job(status(word), result)
    assert found == Ended("j1", "echo", word, 60.0, (file("j1"), file("j1", "t.png", 5)))
    assert found.size == 15
    without = ended_job(status(word), None)
    assert without is not None and (without.artifacts, without.size) == ((), 0)


@pytest.mark.parametrize(
    "kept",
    [status("submitted"), status("queued"), status("awarded"), status("running"), status("failed", "some time")],
    ids=lambda kept: f"{kept.status} {kept.at[:4]}",
)
def test_a_job_that_has_not_ended_or_ended_nobody_knows_when_is_kept(kept: Status) -> None:
    assert ended_job(kept, None) is None


def test_what_ended_before_a_time_goes_the_oldest_first_unless_it_is_needed() -> None:
    jobs = [ended("new", 100.0), ended("young", 99.9), ended("old", 1.0), ended("needed", 1.0)]
    assert [job.job_id for job in due(jobs, 100.0, frozenset({"needed"}))] == ["old", "young"]


def test_files_that_another_job_names_stay() -> None:
    """A job that was answered from the cache names the files of the one that made them."""
    maker, cached = ended("maker", 1.0, file("maker"), file("maker", "t.png")), ended("cached", 9.0, file("maker"))
    assert with_own_files([maker], [cached]) == [maker._replace(artifacts=(file("maker", "t.png"),))]
    elsewhere = ended("other", 9.0, file("maker", bucket="P3D_INPUTS"))
    assert with_own_files([maker, cached], [elsewhere]) == [maker, cached]


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"mesh_path": {"result": "a", "name": "x.glb"}}, {"a"}),
        ({"image_paths": [{"result": "a"}, {"result": "b"}, {"artifact": "c"}]}, {"a", "b"}),
        ({"options": {"deep": [{"mask": {"result": "a"}}]}}, {"a"}),
        ({"options": {"result": "a", "deep": {"result": "b"}}}, {"a", "b"}),
        ({"options": {"result": 7}, "text_prompt": "result"}, set()),
        (None, set()),
    ],
)
def test_jobs_whose_results_a_request_names(inputs: Any, named: set[str]) -> None:
    assert named_in({"inputs": inputs, "metadata": {"result": "told by somebody"}}) == named
    assert named_in({}) == set()


def test_an_environment_is_in_use_while_an_adapter_names_an_interpreter_in_it() -> None:
    folders = [Path("/envs/trellis"), Path("/envs/trellis-2"), Path("/envs/unirig")]
    used = environments_in_use(["/envs/trellis/bin/python", None, "/usr/bin/python3"], folders)
    assert used == {Path("/envs/trellis")}
    assert environments_in_use([], folders) == frozenset()
