"""What `pocket3d purge` lists and removes, and what it never touches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from pocket3d.bus.client import Client
from pocket3d.contracts.chain_messages import ChainStatus, StepStatus
from pocket3d.contracts.clock import parse_rfc3339
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.messages import Result, Status
from pocket3d.ops.cli.purge import _purge_environments, _purge_jobs
from pocket3d.ops.purging import ended_job, environments_in_use, named_in
from support.job_teller import Teller, serve_api

Tell = Callable[..., Teller]
AT = "2026-11-28T12:00:00Z"


async def ended(tell: Tell, job_id: str) -> Status:
    """A job that succeeded, with a file, some progress and a story."""
    job = tell(job_id)
    await job.event("queued")
    await job.progress(0.5)
    await job.result(job.make_result(artifacts=[await job.output("mesh.glb", b"mesh of " + job_id.encode())]))
    return await job.event("succeeded")


async def listed(client: Client, *jobs: Status, unfinished: Sequence[ChainStatus] = ()) -> None:
    async def answer(request: object) -> dict[str, object]:
        return {"jobs": list(jobs), "next": None}

    async def chains(request: object) -> dict[str, object]:
        return {"chains": list(unfinished), "next": None}

    async def chain_status(request: dict[str, object]) -> ChainStatus:
        return next(each for each in unfinished if each.chain_id == request["chain_id"])

    async def groups(request: object) -> dict[str, object]:
        return {"groups": [], "next": None}

    verbs = {"chain_list": chains, "chain_status": chain_status, "group_list": groups}
    await serve_api(client.bus, client.subjects, list=answer, **verbs)


async def kept(client: Client, job_id: str) -> dict[str, bool]:
    s = client.subjects
    return {
        "file": await client.bus.object_info(s.outputs_bucket, f"{job_id}/1-1/mesh.glb") is not None,
        "result": await client.bus.last(s.results_stream, s.result_of(job_id)) is not None,
        "story": await client.bus.last(s.events_stream, s.events_of(job_id)) is not None,
        "progress": await client.bus.last(s.progress_stream, s.progress_of(job_id)) is not None,
    }


ALL, NONE = (
    dict.fromkeys(("file", "result", "story", "progress"), True),
    dict.fromkeys(("file", "result", "story", "progress"), False),
)


async def test_first_it_is_only_listed(client: Client, tell: Tell, capsys: pytest.CaptureFixture[str]) -> None:
    await listed(client, await ended(tell, "old"))
    await _purge_jobs(client, time.time() + 1e9, whole=True, yes=False)
    assert "1 jobs with their files, 11 B" in capsys.readouterr().out
    assert await kept(client, "old") == ALL


async def test_files_go_and_stories_stay(client: Client, tell: Tell) -> None:
    await listed(client, await ended(tell, "old"))
    await _purge_jobs(client, time.time() + 1e9, whole=False, yes=True)
    assert await kept(client, "old") == {**ALL, "file": False}


async def test_jobs_go_with_all_that_is_kept_of_them_and_no_others(client: Client, tell: Tell) -> None:
    running = tell("running")
    await listed(
        client, await ended(tell, "old"), await ended(tell, "other"), await running.event("started", "running")
    )
    await ended(tell, "unlisted")
    await _purge_jobs(client, time.time() + 1e9, whole=True, yes=True)
    assert await kept(client, "old") == await kept(client, "other") == NONE
    assert await kept(client, "unlisted") == ALL
    assert (await kept(client, "running"))["story"]


async def test_what_an_unfinished_job_needs_stays(client: Client, tell: Tell) -> None:
    await listed(client, await ended(tell, "source"), await ended(tell, "old"))
    request = encode({"job_id": "next", "inputs": {"mesh_path": {"result": "source"}}})
    await client.bus.append(client.subjects.job("low", "auto_rig"), request)
    await _purge_jobs(client, time.time() + 1e9, whole=True, yes=True)
    assert await kept(client, "source") == ALL
    assert await kept(client, "old") == NONE


async def test_what_an_unfinished_chain_needs_stays(client: Client, tell: Tell) -> None:
    """Its next step is not published yet, so that no message of the jobs stream names these."""
    step = StepStatus(name="mesh", feature="text_to_mesh", job_id="c-mesh", status="succeeded")
    chain = ChainStatus(
        chain_id="c", status="running", tenant="t", priority="low", fraction=0.5, steps=[step], at=AT, submitted_at=AT
    )
    await listed(client, *[await ended(tell, each) for each in ("c-mesh", "source", "old")], unfinished=[chain])
    steps = [{"name": "rig", "feature": "auto_rig", "inputs": {"mesh_path": {"result": "source"}}}]
    await client.bus.append(client.subjects.chain_event("chain", "c", "submitted"), encode({"steps": steps}))
    await _purge_jobs(client, time.time() + 1e9, whole=True, yes=True)
    assert await kept(client, "c-mesh") == await kept(client, "source") == ALL
    assert await kept(client, "old") == NONE


async def test_files_that_a_later_job_got_from_the_cache_stay_with_it(client: Client, tell: Tell) -> None:
    first = await ended(tell, "first")
    stored = await client.bus.last(client.subjects.results_stream, client.subjects.result_of("first"))
    assert stored is not None
    later = tell("later")
    await later.event("queued")
    artifacts = decode(Result, stored.data).artifacts
    await later.result(later.make_result(artifacts=artifacts, cached_from="first"))
    await listed(client, msgspec.structs.replace(first, at="2026-11-01T00:00:00Z"), await later.event("succeeded"))
    await _purge_jobs(client, parse_rfc3339("2026-11-02T00:00:00Z"), whole=True, yes=True)
    assert await kept(client, "first") == {**NONE, "file": True}
    assert (await kept(client, "later"))["result"]


async def test_what_ended_later_stays(client: Client, tell: Tell) -> None:
    await listed(client, await ended(tell, "old"))
    await _purge_jobs(client, 0.0, whole=True, yes=True)
    assert await kept(client, "old") == ALL


def test_only_an_end_with_a_time_can_be_due() -> None:
    status = Status(
        job_id="j", feature="f", priority="normal", tenant="t", status="running", attempt=1, at="2026-11-28T12:00:00Z"
    )
    assert ended_job(status, None) is None
    over = msgspec.structs.replace(status, status="failed")
    assert ended_job(over, Result(job_id="j", feature="f", status="failed")) is not None
    assert ended_job(msgspec.structs.replace(over, at="soon"), None) is None


def test_a_request_names_the_jobs_that_it_needs() -> None:
    inputs = {
        "mesh_path": {"result": "a", "name": "mesh.glb"},
        "image_paths": [{"result": "b"}, {"artifact": "sha256-0"}],
    }
    assert named_in({"inputs": inputs}) == {"a", "b"}
    assert named_in({"inputs": {"result": 7}}) == named_in({}) == frozenset()


def test_environments_that_a_models_file_names_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("trellis", "unirig"):
        (tmp_path / "models" / name / "venv" / "bin").mkdir(parents=True)
        (tmp_path / "models" / name / "weights").write_bytes(b"x" * 2000)
    used = tmp_path / "models" / "trellis"
    assert environments_in_use([str(used / "venv" / "bin" / "python"), None], [used]) == {used}
    models = tmp_path / "models.yaml"
    models.write_text(
        f"adapters:\n  mine:\n    class: echo.Echo\n    feature: echo\n    python: {used}/venv/bin/python\n"
    )
    monkeypatch.setenv("POCKET3D_STATE", str(tmp_path))
    _purge_environments(models, yes=False)
    assert "2.0 kB" in capsys.readouterr().out
    assert (tmp_path / "models" / "unirig").exists()
    _purge_environments(models, yes=True)
    assert used.exists() and not (tmp_path / "models" / "unirig").exists()
