"""What it means that a message leaves a field out: a former version did not know it, a producer did not care."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from pocket3d.contracts import (
    api,
    chain_messages,
    chains,
    commands,
    features,
    jobs,
    lifecycle,
    messages,
    variants,
    worker_frames,
)
from pocket3d.contracts.jobs import Limits, RetryPolicy, admit
from pocket3d.contracts.messages import Timings, read_result

MODULES = (api, chain_messages, chains, commands, features, jobs, lifecycle, messages, variants, worker_frames)
#: Nothing, no, none of them, or not said.
NOTHING: tuple[Any, ...] = (None, False, 0, "", [], {}, (), msgspec.UNSET)


def types() -> list[type[msgspec.Struct]]:
    return [
        kind
        for module in MODULES
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
    ]


def test_what_is_left_out_is_nothing_but_for_these() -> None:
    said = {
        f"{kind.__name__}.{field.name}": field.default
        if field.default is not msgspec.NODEFAULT
        else field.default_factory()
        for kind in types()
        for field in msgspec.structs.fields(kind)
        if not field.required
    }
    assert {default for name, default in said.items() if name.endswith(".v")} == {1}, "the version of the wire"
    assert {name: default for name, default in said.items() if default not in NOTHING and not name.endswith(".v")} == {
        # What producers send.
        **{f"{kind}.tenant": "default" for kind in ("ChainRequest", "GroupRequest", "Job", "SubmitRequest", "Result")},
        **{f"{kind}.priority": "normal" for kind in ("ChainRequest", "SubmitRequest", "Award")},
        **{f"{kind}.limits": Limits() for kind in ("ChainStep", "Job", "SubmitRequest")},
        **{f"{kind}.retry": RetryPolicy() for kind in ("ChainRequest", "Job", "SubmitRequest")},
        "Limits.start_to_close_s": 3600.0,
        "Limits.load_s": 900.0,
        "RetryPolicy.max_attempts": 3,
        "RetryPolicy.initial_s": 1.0,
        "RetryPolicy.factor": 2.0,
        "RetryPolicy.cap_s": 100.0,
        "ListRequest.limit": 100,
        "ChainListRequest.limit": 20,
        # One is what there is at least.
        "ChainStatus.round": 1,
        "GroupStatus.round": 1,
        "TenantTurn.weight": 1.0,
        "Lot.jobs": 1,
        "BidPlaced.max_concurrent": 1,
        "AdapterDescription.max_concurrent": 1,
        # What was true of all before the field told otherwise of some.
        "RunningJob.on_device": True,
        "AttemptError.counted": True,
        "AttemptFailed.more_room": True,
        "AdapterOffer.commercial": "unclear",
        "AdapterDescription.commercial": "unclear",
        "AdapterDescription.feature": "unknown",
        "Result.timings": Timings(),
    }


def test_the_smallest_result_and_the_smallest_job() -> None:
    result = read_result(b'{"job_id": "j1", "feature": "echo", "status": "failed"}', "j1")
    assert (result.v, result.attempt, result.tenant, result.timings) == (1, 0, "default", Timings())
    assert (result.outputs, result.artifacts, result.error, result.cached_from) == (None, [], None, None)
    job = admit("echo", b'{"inputs": {}}', None, "s123456-1").job
    assert job is not None
    assert (job.v, job.tenant, job.limits, job.retry) == (1, "default", Limits(), RetryPolicy())
    assert (job.limits.schedule_to_start_s, job.limits.start_to_close_s, job.limits.load_s) == (None, 3600, 900)
    assert (job.retry.max_attempts, job.retry.initial_s, job.retry.factor, job.retry.cap_s) == (3, 1, 2, 100)
