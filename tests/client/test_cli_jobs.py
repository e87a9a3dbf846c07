"""What `pocket3d jobs`, `status`, `agents` and `features` print, beside what the wire says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pocket3d.bus.client import Client
from pocket3d.bus.port import Append
from pocket3d.contracts.api import Explanation, FeatureAdapter, FeatureInfo
from pocket3d.contracts.chain_messages import ChainStatus, StepError, StepStatus
from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.messages import Advert, DeviceState, JobError, Resident, RunningJob
from pocket3d.ops.cli.chain.show import print_chain
from pocket3d.ops.cli.errors import CliError
from pocket3d.ops.cli.fleet import _find, _rows, _show
from pocket3d.ops.cli.job_metadata import having
from pocket3d.ops.cli.jobs import _print_counts, _print_explanation, _progress_of, _reason
from pocket3d.ops.cli.output import print_result, print_status
from support.job_teller import Teller

Tell = Callable[..., Teller]


async def test_jobs_are_found_by_their_metadata_wherever_they_stand(client: Client, tell: Tell) -> None:
    seq = await client.bus.append(
        client.subjects.job("normal", "echo"), encode({"inputs": {}, "metadata": {"order": 4711, "who": "me"}})
    )
    waiting = tell("waiting").status("queued")
    await client.bus.append_batch(
        [Append(client.subjects.event("echo", "waiting", "queued"), encode(waiting), headers={"P3d-Job-Seq": str(seq)})]
    )
    ended, other = tell("ended"), tell("other")
    await ended.result(ended.make_result(metadata={"order": "4711"}))
    await other.result(other.make_result(metadata={"order": 1}))
    jobs = [waiting, ended.status("succeeded"), other.status("succeeded"), tell("gone").status("succeeded")]
    assert [job.job_id for job in await having(client, jobs, {"order": "4711"})] == ["waiting", "ended"]
    assert [job.job_id for job in await having(client, jobs, {"order": "4711", "who": "me"})] == ["waiting"]
    assert await having(client, jobs, {"who": "you"}) == []


def test_counts_are_by_feature_and_status(tell: Tell, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [tell("a").status("queued"), tell("b").status("failed"), tell("c", "rig").status("failed")]
    _print_counts(jobs, False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["FEATURE", "QUEUED", "FAILED", "TOTAL"],
        ["echo", "1", "1", "2"],
        ["rig", "-", "1", "1"],
        ["all", "1", "2", "3"],
    ]
    _print_counts(jobs, True)
    assert capsys.readouterr().out == '{"total":3,"features":{"echo":{"queued":1,"failed":1},"rig":{"failed":1}}}\n'


def test_a_reason_takes_one_short_cell(tell: Tell) -> None:
    long = tell("a").status("failed", error=JobError(code="invalid_input", message="no such\nnoun: " * 40))
    reason = _reason(long)
    assert reason is not None
    assert len(reason) == 80
    assert "\n" not in reason
    assert _reason(tell("b").status("queued", reason="waits")) == "waits"
    assert _reason(tell("c").status("queued")) is None


async def test_a_running_job_says_how_far_it_is(client: Client, tell: Tell, capsys: pytest.CaptureFixture[str]) -> None:
    job = tell()
    await job.progress(0.4, attempt=2)
    handle = client.job(job.job_id)
    progress = await _progress_of(handle, "running", 2)
    print_status(job.status("running", attempt=2, label="a chair"), progress)
    out = capsys.readouterr().out
    assert "progress: 40% running" in out
    assert "label:    a chair" in out
    assert await _progress_of(handle, "running", 1) is None, "of another attempt"
    assert await _progress_of(handle, "succeeded", 2) is None


def test_a_result_says_what_was_made_and_ignored_and_each_failure_once(
    tell: Tell, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs: dict[str, Any] = {"bone_count": 8, "rig_info": {"ignored": ["a camera"], "lost": ["names"]}}
    print_result(tell().make_result(outputs=outputs))
    out = capsys.readouterr().out
    assert "made:     8 bones\n" in out
    assert "\nignored: a camera\nlost: names\n" in out
    assert "cached" not in out


def test_a_result_from_the_cache_says_whose_it_is(tell: Tell, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(tell().make_result(cached_from="chair-1"))
    assert "cached:   it is the result of job chair-1\n" in capsys.readouterr().out


def test_an_explanation_says_a_thing_once_and_shows_no_empty_column(capsys: pytest.CaptureFixture[str]) -> None:
    _print_explanation("j1", Explanation(status="failed", summary="it has ended: failed, not done in 2 s"), None)
    drains = Reason(agent_id="gpu-07", code="draining", message="the agent is draining")
    _print_explanation("j2", Explanation(status="queued", summary="every agent drains", reasons=[drains]), None)
    assert capsys.readouterr().out.splitlines() == [
        "j1: it has ended: failed, not done in 2 s",
        "j2 queued: every agent drains",
        "AGENT   REASON    MESSAGE",
        "gpu-07  draining  the agent is draining",
    ]


def test_a_step_that_was_cancelled_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    why = "the step mesh, whose file it takes, failed"
    was, had = StepError(code="cancelled", message=why), StepError(code="input_failed", message=why)
    steps = [
        StepStatus(name="skin", feature="auto_rig", job_id="c-skin", status="cancelled", error=was),
        StepStatus(name="rig", feature="auto_rig", job_id="c-rig", status="failed", error=had),
    ]
    print_chain(
        ChainStatus(
            chain_id="c", status="failed", tenant="default", priority="normal", fraction=1.0, at="", submitted_at="",
            steps=steps,
        )
    )  # fmt: skip
    assert [line.split(maxsplit=4)[-1] for line in capsys.readouterr().out.splitlines()[-3:]] == [
        "NOTE",
        why,
        f"input_failed: {why}",
    ]


def device() -> DeviceState:
    return DeviceState(id="d", kind="cpu", name="CPU", total_mb=9, free_mb=9, reserved_mb=0, buffer_mb=0)


def test_agents_show_which_job_still_loads_its_model() -> None:
    def run(job_id: str, adapter_id: str, *, on_device: bool = True) -> RunningJob:
        return RunningJob(job_id=job_id, attempt=1, token="1-1", adapter_id=adapter_id, device="d", on_device=on_device)

    advert = Advert(
        agent_id="a", incarnation="1", seq=1, host="h", pid=1, version="0", draining=False, devices=[device()],
        residents=[Resident(adapter_id="x", device="d", pid=1, vram_mb=1, idle_s=0)],
        running=[run("j1", "x"), run("j2", "y"), run("j3", "x", on_device=False)],
    )  # fmt: skip
    assert _rows(advert)[0][-2:] == ("j1, j2 (loading), j3 (storing)", "x")


def test_one_feature_shows_the_ranges_of_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    schema = {"properties": {"seed": {"type": "integer", "minimum": 0, "default": 0}}, "additionalProperties": False}
    known = [
        FeatureInfo(
            feature="text_to_mesh",
            required=["text_prompt"],
            adapters=[FeatureAdapter(adapter_id="grammar", parameters=schema, available=True)],
        )
    ]
    _show(_find("text_to_textured_mesh", known))
    out = capsys.readouterr().out
    assert out.startswith("text_to_mesh: needs text_prompt\n\ngrammar\n")
    assert "seed       integer  0        0.." in out
    with pytest.raises(CliError) as caught:
        _find("text_to_mash", known)
    assert caught.value.hint == "did you mean text_to_mesh?"
