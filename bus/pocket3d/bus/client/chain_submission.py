"""From a producer's steps or jobs to the request of a chain or a group, and every reason not to. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from pocket3d.contracts.chains import AnyChainRequest, ChainRequest, GroupRequest, check
from pocket3d.contracts.codec import WireError, convert
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import result_refs
from pocket3d.contracts.jobs import Job, Limits, Rejection, RetryPolicy, SubmitRequest

from .errors import JobRefused
from .submission import LocalFile, check_plain, local_files, refuse, with_jobs, with_references

#: What a step or a job may hold beside JSON.
_STRUCTS = (Limits, RetryPolicy)


class PartFiles(NamedTuple):
    """The files of this machine that one step or job names."""

    #: Of the step or the job in what was given.
    place: int
    #: Its path in the request: `steps.mesh`, `jobs[3]`.
    path: str
    files: list[LocalFile]


def files_of(parts: Sequence[Mapping[str, Any]], what: str) -> list[PartFiles]:
    """What is to be uploaded, of each step or job that has files.

    Args:
        parts: as given to `submit_chain` or `submit_group`.
        what: `steps` or `jobs`.

    Raises:
        JobRefused: a file under a key that cannot hold one, or a part that is no mapping with inputs.
    """
    found = []
    for place, part in enumerate(parts):
        path = path_of(part, place, what)
        inputs = part.get("inputs") if isinstance(part, Mapping) else None
        if not isinstance(inputs, Mapping):
            raise refuse(FailureCode.INVALID_INPUT, f"{path}.inputs", "want a mapping of inputs")
        try:
            files = local_files(inputs, None)
        except JobRefused as error:
            raise within(path, error) from error
        if files:
            found.append(PartFiles(place, path, files))
    return found


def with_handles(parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The steps or jobs with a reference in place of each job's handle among their inputs."""
    return [
        {**part, "inputs": with_jobs(part["inputs"])}
        if isinstance(part, Mapping) and isinstance(part.get("inputs"), Mapping)
        else part
        for part in parts
    ]


def path_of(part: Any, place: int, what: str) -> str:
    """Where a step or a job stands in the request."""
    name = part.get("name") if what == "steps" and isinstance(part, Mapping) else None
    return f"steps.{name}" if isinstance(name, str) else f"{what}[{place}]"


def within(path: str, error: JobRefused) -> JobRefused:
    """An error about one step or job as one about the whole."""
    return JobRefused(Rejection(error.code, f"{path}.{error.field}", error.message))


def with_uploads(
    parts: Sequence[Mapping[str, Any]], uploads: Mapping[int, Sequence[tuple[LocalFile, dict[str, str]]]]
) -> list[dict[str, Any]]:
    """The steps or jobs with each local file replaced by its reference.

    Args:
        parts: as given.
        uploads: the files and their references, by the place of the part.
    """
    return [{**part, "inputs": with_references(part["inputs"], uploads.get(n, ()))} for n, part in enumerate(parts)]


def without_results(job: SubmitRequest) -> Job:
    """A job without the files that other jobs make: those of its own chain are not there yet."""
    refs = {ref.key for ref in result_refs(job.inputs)}
    return msgspec.structs.replace(job.job(), inputs={k: v for k, v in job.inputs.items() if k not in refs})


def build_chain(steps: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> ChainRequest:
    """Judge a chain as the coordinator will; `wanted` has its further fields, None leaves one out.

    Raises:
        JobRefused
    """
    request = _built(ChainRequest, "steps", steps, wanted)
    assert isinstance(request, ChainRequest)
    return request


def build_group(jobs: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> GroupRequest:
    """Judge a group as the coordinator will; `wanted` has its further fields, None leaves one out.

    Raises:
        JobRefused
    """
    request = _built(GroupRequest, "jobs", jobs, wanted)
    assert isinstance(request, GroupRequest)
    return request


def _built(
    kind: type[AnyChainRequest], what: str, parts: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]
) -> AnyChainRequest:
    plain = [_plain(part) for part in parts]
    for place, part in enumerate(plain):
        check_plain(part, path_of(part, place, what))
    body = {what: plain, **_plain({key: value for key, value in wanted.items() if value is not None})}
    try:
        request = convert(kind, body)
    except WireError as error:
        raise refuse(FailureCode.INVALID_INPUT, error.field, error.message) from error
    wrong = check(request)
    if wrong is not None:
        raise JobRefused(wrong)
    return request


def _plain(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: msgspec.structs.asdict(value) if isinstance(value, _STRUCTS) else value for key, value in part.items()}
