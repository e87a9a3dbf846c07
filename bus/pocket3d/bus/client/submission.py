"""From a producer's arguments to the bytes that are published, and every reason not to. Opens and sends nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pocket3d.contracts.codec import is_wire_integer
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import is_file_key
from pocket3d.contracts.jobs import (
    MAX_DEPTH,
    Job,
    Limits,
    Rejection,
    RetryPolicy,
    admit,
    check_priority,
)

from .errors import JobRefused

#: Room for the headers, which count against the server's limit too.
_HEADER_BYTES = 192

#: A local file, or several for a `_paths` key.
FileArgument = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine that is to become an artifact."""

    key: str
    #: Place in a `_paths` list, None for a single file.
    index: int | None
    path: Path

    @property
    def field(self) -> str:
        """Where it stands in the job, e.g. `inputs.image_path`."""
        return f"inputs.{self.key}" + ("" if self.index is None else f"[{self.index}]")


class Request(NamedTuple):
    """A job that was judged and may be published."""

    job: Job
    data: bytes


def refuse(code: FailureCode, field: str, message: str) -> JobRefused:
    """The error for one field."""
    return JobRefused(Rejection(code, field, message))


def with_jobs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with each handle of a job (whatever has `as_input`), alone or in a list, replaced by the reference to
    its file.
    """
    return {key: _with_job(value) for key, value in inputs.items()}


def _with_job(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_with_job(inner) for inner in value]
    named = getattr(value, "as_input", None)
    return named if isinstance(named, dict) else value


def local_files(inputs: Mapping[str, Any], files: Mapping[str, FileArgument] | None) -> list[LocalFile]:
    """The files to upload: those of `files`, and every `Path` among the `*_path` inputs.

    Raises:
        JobRefused: a file under a key that cannot hold one.
    """
    found: list[LocalFile] = []
    for key, value in inputs.items():
        if isinstance(value, Path):
            found.append(LocalFile(key, None, value))
        elif isinstance(value, (list, tuple)):
            found += [LocalFile(key, index, inner) for index, inner in enumerate(value) if isinstance(inner, Path)]
    for key, argument in (files or {}).items():
        if key in inputs:
            raise refuse(FailureCode.INVALID_INPUT, f"inputs.{key}", "given twice: among the inputs and as a file")
        if isinstance(argument, (str, Path)):
            found.append(LocalFile(key, 0 if key.endswith("_paths") else None, Path(argument)))
        else:
            found += [LocalFile(key, index, Path(path)) for index, path in enumerate(argument)]
    for file in found:
        if not is_file_key(file.key):
            raise refuse(
                FailureCode.INVALID_INPUT, file.field, "a file cannot go here; inputs that are files end in _path"
            )
        if file.index is not None and not file.key.endswith("_paths"):
            raise refuse(FailureCode.INVALID_INPUT, file.field, f"takes one file; several go under {file.key}s")
    return found


def with_references(inputs: Mapping[str, Any], files: Sequence[tuple[LocalFile, dict[str, str]]]) -> dict[str, Any]:
    """The inputs with each local file replaced by its reference, `{"artifact": name, "filename": name}`."""
    result = {key: list(value) if isinstance(value, (list, tuple)) else value for key, value in inputs.items()}
    for file, reference in files:
        if file.index is None:
            result[file.key] = reference
        else:
            references = result.setdefault(file.key, [])
            if file.index < len(references):
                references[file.index] = reference
            else:
                references.append(reference)
    return result


def build(
    feature: str,
    inputs: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    job_id: str,
    priority: str,
    max_payload: int,
) -> Request:
    """Judge a job as the coordinator will, and more: what it cannot see because it would never arrive.

    `wanted` has the further fields of the message; None leaves one out.

    Raises:
        JobRefused
    """
    wrong = check_priority(priority)
    if wrong is not None:
        raise JobRefused(wrong)
    body: dict[str, Any] = {"v": 1, "job_id": job_id, "inputs": inputs}
    for key, value in wanted.items():
        if value is not None:
            body[key] = msgspec.structs.asdict(value) if isinstance(value, (Limits, RetryPolicy)) else value
    for key, value in body.items():
        check_plain(value, key)
    data = msgspec.json.encode(body)
    admission = admit(feature, data, job_id, job_id)
    if admission.rejection is not None:
        raise JobRefused(admission.rejection)
    if len(data) + _HEADER_BYTES > max_payload:
        raise refuse(
            FailureCode.TOO_LARGE,
            _largest(body),
            f"the request has {len(data)} bytes, this server takes messages of at most {max_payload}",
        )
    if admission.job is None:
        raise AssertionError("a job without a rejection")
    return Request(admission.job, data)


def check_plain(value: Any, path: str, depth: int = MAX_DEPTH) -> None:
    """Refuse what is no JSON value, and what JSON would change without a word.

    Raises:
        JobRefused
    """
    invalid = FailureCode.INVALID_INPUT
    if depth < 0:
        raise refuse(invalid, path.split(".")[0].split("[")[0], f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise refuse(invalid, path, f"not valid Unicode: {error}") from error
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not is_wire_integer(value):
            raise refuse(invalid, path, "the number does not fit into 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise refuse(invalid, path, f"{value} is not a number that JSON knows")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise refuse(invalid, path, f"the key {key!r} is not a string")
            check_plain(key, path, depth)
            check_plain(inner, f"{path}.{key}", depth - 1)
    elif isinstance(value, (list, tuple)):
        for index, inner in enumerate(value):
            check_plain(inner, f"{path}[{index}]", depth - 1)
    else:
        raise refuse(invalid, path, f"a {type(value).__name__} cannot be sent as JSON")


def _largest(body: Mapping[str, Any]) -> str:
    """The part that takes most of a request."""
    sizes = {f"inputs.{key}": len(msgspec.json.encode(value)) for key, value in body["inputs"].items()}
    sizes |= {key: len(msgspec.json.encode(value)) for key, value in body.items() if key != "inputs"}
    return max(sizes, key=lambda field: sizes[field])
