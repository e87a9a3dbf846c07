"""Chains and groups as people ask for them, the rules that they keep, and the jobs that they become.

A chain is several jobs of which later ones take files that earlier ones made; each is one step. A group is many jobs
that have nothing to do with one another, and are asked about together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from .api import ApiRequest
from .codec import WireError, encode
from .failures import FailureCode
from .features import FEATURE_PATTERN
from .input_files import is_file_key
from .jobs import Job, Limits, Rejection, RetryPolicy, SubmitRequest, admit, check_priority
from .subjects import CHAIN_ID_PATTERN, JOB_ID_PATTERN

#: Steps of a chain, and jobs of a group.
MAX_STEPS = 32
MAX_GROUP_JOBS = 1000
#: How often a chain or a group may run: the first time, and eight retries. `-r9` is what a job id has room for.
MAX_ROUNDS = 9

#: No `-`, which separates it from the chain's id in the id of its job.
STEP_PATTERN = re.compile(r"[A-Za-z0-9_]{1,20}")
#: What follows the id of a job that is tried anew: no step may be called so.
_ROUND_PATTERN = re.compile(r"r[0-9]+")


class ChainStep(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: a job whose files may be those of other steps, `{"step": name, "name"?: file}`."""

    name: str
    feature: str
    inputs: dict[str, Any] = {}
    # As a job has them.
    model_preference: str | list[str] | None = None
    vram_mb: int | None = None
    commercial_only: bool = False
    variant: str | None = None
    cache: bool = False
    limits: Limits = Limits()
    #: Left out: the chain's.
    retry: RetryPolicy | None = None
    metadata: dict[str, Any] = {}


class ChainRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `p3d.api.chain` takes, and what is stored on `p3d.chains.<chain_id>.submitted`."""

    steps: list[ChainStep]
    #: 1 to 40 of A-Z, a-z, 0-9, _ and -; one is made up if it is left out.
    chain_id: str | None = None
    tenant: str = "default"
    priority: str = "normal"
    #: Of the steps that name none of their own.
    retry: RetryPolicy = RetryPolicy()


class GroupRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `p3d.api.group` takes, and what is stored on `p3d.groups.<group_id>.submitted`."""

    #: One without a `job_id` is called `<group_id>-<n>`, n counted from 1.
    jobs: list[SubmitRequest]
    group_id: str | None = None
    #: Of the jobs that name none of their own.
    tenant: str = "default"


AnyChainRequest = ChainRequest | GroupRequest


class PlannedStep(NamedTuple):
    """A step of a chain or a job of a group, as it stands in the request."""

    #: In the request, from 0.
    place: int
    #: The step's name; of a job of a group its place, counted from 1.
    name: str
    feature: str
    #: The id of its job the first time.
    first_id: str
    #: Places of the steps whose files it takes.
    needs: tuple[int, ...]


class StepRef(NamedTuple):
    """A file of another step among the inputs of one."""

    #: Dotted path below the step, e.g. `inputs.mesh_path`.
    field: str
    step: str


def id_of(request: AnyChainRequest) -> str:
    """The id of a request that has one."""
    name = request.chain_id if isinstance(request, ChainRequest) else request.group_id
    assert name is not None
    return name


def with_id(request: AnyChainRequest, made_up: str) -> AnyChainRequest:
    """The request under its own id, or under one that was made up."""
    if isinstance(request, ChainRequest):
        return msgspec.structs.replace(request, chain_id=request.chain_id or made_up)
    return msgspec.structs.replace(request, group_id=request.group_id or made_up)


def job_id_of(first_id: str, round_no: int) -> str:
    """The id of a step's job in the round that is counted from 1."""
    return first_id if round_no == 1 else f"{first_id}-r{round_no}"


def plan(request: AnyChainRequest) -> tuple[PlannedStep, ...]:
    """The steps of a request that has an id and was judged."""
    if isinstance(request, GroupRequest):
        return tuple(
            PlannedStep(place, str(place + 1), job.feature, job.job_id or f"{request.group_id}-{place + 1}", ())
            for place, job in enumerate(request.jobs)
        )
    places = {step.name: place for place, step in enumerate(request.steps)}
    return tuple(
        PlannedStep(
            places[step.name],
            step.name,
            step.feature,
            f"{request.chain_id}-{step.name}",
            tuple(dict.fromkeys(places[ref.step] for ref in _step_refs(step.inputs))),
        )
        for step in request.steps
    )


def job_of(request: AnyChainRequest, place: int, job_id: str, sources: Mapping[str, str]) -> SubmitRequest:
    """The job that a step becomes.

    Args:
        request: the whole.
        place: of the step in it.
        job_id: under which its job is published.
        sources: the job ids of the steps that it names, by their names.
    """
    if isinstance(request, GroupRequest):
        job = request.jobs[place]
        return msgspec.structs.replace(job, job_id=job_id, tenant=_tenant_of(request, job))
    step = request.steps[place]
    return SubmitRequest(
        feature=step.feature,
        priority=request.priority,
        job_id=job_id,
        inputs={key: _resolved(key, value, sources) for key, value in step.inputs.items()},
        model_preference=step.model_preference,
        vram_mb=step.vram_mb,
        commercial_only=step.commercial_only,
        variant=step.variant,
        cache=step.cache,
        tenant=request.tenant,
        metadata=step.metadata,
        limits=step.limits,
        retry=step.retry or request.retry,
    )


def jobs_of(request: AnyChainRequest) -> list[SubmitRequest]:
    """All jobs of the first round, in the order of the request, which has an id and was judged."""
    planned = plan(request)
    ids = {step.name: step.first_id for step in planned}
    return [job_of(request, step.place, step.first_id, ids) for step in planned]


def field_of(request: AnyChainRequest, place: int, field: str) -> str:
    """The dotted path of a field of a step: `steps.texture.inputs.mesh_path`, `jobs[3].inputs.text_prompt`."""
    if isinstance(request, GroupRequest):
        return f"jobs[{place}].{field}"
    return f"steps.{request.steps[place].name}.{field}"


def check(request: AnyChainRequest) -> Rejection | None:
    """What is wrong with a well-shaped request that has an id, or None; the field names the step."""
    wrong = check_plan(request)
    if wrong is not None:
        return wrong
    for place, job in enumerate(jobs_of(request)):
        assert job.job_id is not None
        wrong = admit(job.feature, encode(job.job()), None, job.job_id).rejection
        if wrong is not None:
            return wrong._replace(field=field_of(request, place, wrong.field))
    return None


def check_plan(request: AnyChainRequest) -> Rejection | None:
    """As `check`, without what its jobs ask for: what passes can be planned, and its jobs published."""
    if request.v != 1:
        return _invalid("v", f"version {request.v} is not known, this system speaks version 1")
    name, what = id_of(request), "chain_id" if isinstance(request, ChainRequest) else "group_id"
    if not CHAIN_ID_PATTERN.fullmatch(name):
        return _invalid(what, f"{name[:80]!r}: want 1 to 40 of A-Z, a-z, 0-9, _ and -")
    wrong = _check_steps(request) if isinstance(request, ChainRequest) else _check_jobs(request)
    if wrong is not None:
        return wrong
    for place, job in enumerate(jobs_of(request)):
        wrong = _check_names(job)
        if wrong is not None:
            return wrong._replace(field=field_of(request, place, wrong.field))
    return None


def _check_steps(chain: ChainRequest) -> Rejection | None:
    if not 1 <= len(chain.steps) <= MAX_STEPS:
        return _invalid("steps", f"{len(chain.steps)} steps: want 1 to {MAX_STEPS}")
    wrong = check_priority(chain.priority)
    if wrong is not None:
        return wrong
    known: set[str] = set()
    for place, step in enumerate(chain.steps):
        if not STEP_PATTERN.fullmatch(step.name) or _ROUND_PATTERN.fullmatch(step.name):
            return _invalid(
                f"steps[{place}].name", f"{step.name[:80]!r}: want 1 to 20 of A-Z, a-z, 0-9 and _, and not r1, r2, ..."
            )
        if step.name in known:
            return _invalid(f"steps.{step.name}.name", "another step has this name; each needs one of its own")
        known.add(step.name)
    needs: dict[str, list[str]] = {}
    for step in chain.steps:
        try:
            refs = list(_step_refs(step.inputs))
        except WireError as error:
            return _invalid(f"steps.{step.name}.{error.field}", error.message)
        for ref in refs:
            if ref.step not in known:
                told = f"there is no step {ref.step[:80]!r}; the steps are {', '.join(sorted(known))}"
                return _invalid(f"steps.{step.name}.{ref.field}.step", told)
        needs[step.name] = [ref.step for ref in refs]
    circle = _circle(needs)
    if circle:
        return _invalid(f"steps.{circle[0]}.inputs", f"the steps wait for one another: {' <- '.join(circle)}")
    return None


def _check_jobs(group: GroupRequest) -> Rejection | None:
    if not 1 <= len(group.jobs) <= MAX_GROUP_JOBS:
        return _invalid("jobs", f"{len(group.jobs)} jobs: want 1 to {MAX_GROUP_JOBS}")
    ids: dict[str, int] = {}
    for place, _, _, first_id, _ in plan(group):
        other = ids.setdefault(first_id, place)
        if other != place:
            return _invalid(f"jobs[{place}].job_id", f"{first_id[:80]!r} is the id of jobs[{other}] too")
        job = group.jobs[place]
        if job.tenant not in ("default", group.tenant):
            return _invalid(f"jobs[{place}].tenant", f"the group is of the tenant {group.tenant[:80]!r}")
    return None


def _check_names(job: SubmitRequest) -> Rejection | None:
    wrong = check_priority(job.priority)
    if wrong is not None:
        return wrong
    if not FEATURE_PATTERN.fullmatch(job.feature):
        return _invalid("feature", f"{job.feature[:80]!r}: want 1 to 48 of a-z, 0-9 and _")
    if job.job_id is None or not JOB_ID_PATTERN.fullmatch(job.job_id):
        return _invalid("job_id", f"{(job.job_id or '')[:80]!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and -")
    return None


def _tenant_of(group: GroupRequest, job: Job) -> str:
    return group.tenant if job.tenant == "default" else job.tenant


def _invalid(field: str, message: str) -> Rejection:
    return Rejection(FailureCode.INVALID_INPUT, field, message)


def _step_refs(inputs: Mapping[str, Any]) -> Iterator[StepRef]:
    """The files of other steps among a step's inputs.

    Raises:
        WireError: one that is not `{"step": name, "name"?: file}`.
    """
    for key, value in inputs.items():
        if not is_file_key(key):
            continue
        listed = key.endswith("_paths") and isinstance(value, list)
        for index, inner in enumerate(value if listed else [value]):
            if not isinstance(inner, Mapping) or "step" not in inner:
                continue
            field = f"inputs.{key}[{index}]" if listed else f"inputs.{key}"
            unknown = sorted(set(inner) - {"step", "name"})
            if unknown:
                raise WireError(f"{field}.{unknown[0]}", "unknown field; want step, and name where it has several")
            if not isinstance(inner["step"], str):
                raise WireError(f"{field}.step", f"expected a string, got {type(inner['step']).__name__}")
            yield StepRef(field, inner["step"])


def _resolved(key: str, value: Any, sources: Mapping[str, str]) -> Any:
    """An input with each reference to a step as one to that step's job."""
    if not is_file_key(key):
        return value
    if key.endswith("_paths") and isinstance(value, list):
        return [_resolved_file(inner, sources) for inner in value]
    return _resolved_file(value, sources)


def _resolved_file(value: Any, sources: Mapping[str, str]) -> Any:
    if not isinstance(value, Mapping) or "step" not in value:
        return value
    named = {"name": value["name"]} if "name" in value else {}
    return {"result": sources[value["step"]], **named}


def _circle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Steps that wait for one another, from one of them back to itself; empty if there are none."""
    left = dict(needs)
    while True:
        free = [name for name, sources in left.items() if not any(source in left for source in sources)]
        if not free:
            break
        for name in free:
            del left[name]
    if not left:
        return []
    path = [next(iter(left))]
    while path[-1] not in path[:-1]:
        path.append(next(source for source in left[path[-1]] if source in left))
    return path[path.index(path[-1]) :]
