"""The job as a producer publishes it, and the check that answers a bad one with the field at fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import msgspec

from .adapter_ids import with_ours
from .codec import WireError, convert, is_wire_integer
from .failures import FailureCode
from .features import FEATURE_PATTERN, missing_input
from .input_files import FileRef as FileRef
from .input_files import FileRefError as FileRefError
from .input_files import check_filename as check_filename
from .input_files import file_refs as file_refs
from .input_files import is_file_key as is_file_key
from .input_files import result_refs as result_refs
from .lifecycle import PRIORITIES
from .subjects import ADAPTER_ID_PATTERN, JOB_ID_PATTERN, TENANT_PATTERN
from .variants import VARIANT_PATTERN

#: A whole request, files inside it included.
MAX_REQUEST_BYTES = 256 * 1024
MAX_RESULT_BYTES = 512 * 1024
MAX_TEXT_CHARS = 10_000
MAX_FILES = 64
#: Objects and lists inside one another; deeper ones would overrun the stack of some reader downstream.
MAX_DEPTH = 32
#: Whole numbers outside of this cannot cross the pipe to a worker (msgpack), nor most other programs' JSON.

_GENERATED_ID_PATTERN = re.compile(r"(s[0-9a-z]+)-[0-9]+")

Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Megabytes = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long each part of a job may take, in seconds."""

    # Defaults are floats, as decoded numbers are: a request encodes alike with and without them.

    #: In the queue, counted from each queueing; null for ever.
    schedule_to_start_s: Seconds | None = None
    #: The run, without the model's load.
    start_to_close_s: Seconds = 3600.0
    #: The model's load.
    load_s: Seconds = 900.0

    @property
    def most_s(self) -> float:
        """How long a job may take by its limits; the wait counts where it has one."""
        return (self.schedule_to_start_s or 0.0) + self.load_s + self.start_to_close_s


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often and when a failed attempt is repeated."""

    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    #: Pause before the second attempt, seconds.
    initial_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 1.0
    #: Growth of the pause.
    factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.0
    #: Longest pause, seconds.
    cap_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 100.0

    def delay_s(self, failures: int) -> float:
        """Pause after that many failed attempts (1 or more), in seconds."""
        exponent = min(max(failures - 1, 0), 64)
        return min(self.initial_s * self.factor**exponent, self.cap_s)


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request. Only `inputs` is required."""

    inputs: dict[str, Any]
    job_id: str | None = None
    #: An adapter id or an ordered list of them; binding.
    model_preference: str | list[str] | None = None
    #: Replaces the adapter's declared requirement.
    vram_mb: Megabytes | None = None
    #: Only adapters whose licence allows commercial use may run it; left out, any. It is never sent as false: earlier
    #: versions refuse a field that they do not know, and a request must keep its digest.
    commercial_only: bool | msgspec.UnsetType = msgspec.UNSET
    #: A label for fair share; the namespace is the boundary between tenants.
    tenant: str = "default"
    #: Comes back with the result.
    metadata: dict[str, Any] = {}
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy()
    v: int = 1
    #: The adapter's variant in which it must run; null, or left out, for the best that can start. It is never sent as
    #: null: earlier versions refuse a field that they do not know, and a request must keep its digest.
    variant: str | msgspec.UnsetType | None = msgspec.UNSET
    #: True: it may be answered by the result of an earlier job that asked for the same. It is never sent as false, for
    #: the same reason.
    cache: bool | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.commercial_only is False:
            msgspec.structs.force_setattr(self, "commercial_only", msgspec.UNSET)
        if self.variant is None:
            msgspec.structs.force_setattr(self, "variant", msgspec.UNSET)
        if self.cache is False:
            msgspec.structs.force_setattr(self, "cache", msgspec.UNSET)

    @property
    def wanted_variant(self) -> str | None:
        """The variant in which it must run, or None for any."""
        return self.variant if isinstance(self.variant, str) else None

    @property
    def preferred(self) -> tuple[str, ...] | None:
        """The binding adapter ids, best first, or None for any. A former id is followed by ours for that model."""
        if self.model_preference is None:
            return None
        if isinstance(self.model_preference, str):
            return with_ours([self.model_preference])
        return with_ours(self.model_preference)


class SubmitRequest(Job, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `p3d.api.submit` takes: a job with its feature and priority."""

    feature: str
    priority: str = "normal"

    def job(self) -> Job:
        """The part that is published on the job's subject."""
        return Job(**{name: getattr(self, name) for name in Job.__struct_fields__})


class Rejection(NamedTuple):
    """Why a job is not taken."""

    code: FailureCode
    #: Dotted path of the input at fault.
    field: str
    message: str


class Admission(NamedTuple):
    """What became of a published message: a job, or a rejection under the id by which it is known."""

    job_id: str
    job: Job | None
    rejection: Rejection | None


def generated_id(stream_created: float, sequence: int) -> str:
    """The id of a message that brought none: `s<stream created (unix seconds), base36>-<sequence>`."""
    return f"s{_base36(int(stream_created))}-{sequence}"


def is_generated_id(job_id: str, generated: str) -> bool:
    """True if an id is one that the stream of `generated` gives. No other is reserved: `station-7` has the form, but is
    the id of a stream only if that was made in one certain second.
    """
    ours, theirs = _GENERATED_ID_PATTERN.fullmatch(generated), _GENERATED_ID_PATTERN.fullmatch(job_id)
    return ours is not None and theirs is not None and ours[1] == theirs[1]


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
        if not number:
            return text


def admit(feature: str, data: bytes, header_id: str | None, fallback_id: str) -> Admission:
    """Judge a message on the subject of jobs for `feature`.

    `header_id` is its `Nats-Msg-Id`, `fallback_id` what the job is called if it brings no valid id (see
    `generated_id`); others of its stream are no valid ones.
    """

    def refuse(job_id: str, code: FailureCode, field: str, message: str) -> Admission:
        return Admission(job_id, None, Rejection(code, field, message))

    try:
        body = msgspec.json.decode(data) if data else None
        broken = "" if data else "the message is empty"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        body, broken = None, f"not valid JSON: {error}"
    except RecursionError:
        body, broken = None, f"nested more than {MAX_DEPTH} deep"
    if _deeper_than(body, MAX_DEPTH):
        broken = f"nested more than {MAX_DEPTH} deep"
    job_id, id_problem = _identify(body, header_id, fallback_id)
    if id_problem:
        return refuse(fallback_id, FailureCode.INVALID_INPUT, "job_id", id_problem)
    if len(data) > MAX_REQUEST_BYTES:
        field = _largest(body)
        return refuse(
            job_id,
            FailureCode.TOO_LARGE,
            field,
            f"the request has {len(data)} bytes, at most {MAX_REQUEST_BYTES} are taken; upload files as artifacts",
        )
    if broken:
        return refuse(job_id, FailureCode.INVALID_INPUT, "body", broken)
    if not FEATURE_PATTERN.fullmatch(feature):
        return refuse(
            job_id,
            FailureCode.INVALID_INPUT,
            "subject",
            f"feature {feature[:80]!r}: want 1 to 48 of a-z, 0-9 and _",
        )
    try:
        job = convert(Job, body)
    except WireError as error:
        return refuse(job_id, FailureCode.INVALID_INPUT, error.field, error.message)
    rejection = check_job(feature, job) or _names_itself(job_id, job)
    return Admission(job_id, None if rejection else job, rejection)


def _identify(body: Any, header_id: str | None, fallback_id: str) -> tuple[str, str]:
    """The job's id and, if it brought an invalid one, what is wrong with it. The body wins over the header."""
    named = body.get("job_id") if isinstance(body, dict) else None
    if named is None:
        named = header_id
    if named is None:
        return fallback_id, ""
    if not isinstance(named, str):
        return fallback_id, f"expected a string, got {type(named).__name__}"
    if not JOB_ID_PATTERN.fullmatch(named):
        return fallback_id, f"{named[:80]!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and -"
    if named != fallback_id and is_generated_id(named, fallback_id):
        return fallback_id, f"{named!r} is what this stream calls a job that comes without an id; choose another"
    return named, ""


def _largest(body: Any) -> str:
    """Dotted path of the largest text in a request that is too large."""
    if not isinstance(body, dict):
        return "body"
    if _deeper_than(body, MAX_DEPTH):
        return "body"
    best, size = "body", 0
    for path, value in _leaves(body, ""):
        length = len(value) if isinstance(value, str) else 0
        if length > size:
            best, size = path, length
    return best


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every plain value with its dotted path. Recursive: judge the depth first."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _deeper_than(body: Any, limit: int) -> bool:
    """True if objects and lists stand more than `limit` deep inside one another."""
    level = [body]
    for _ in range(limit + 1):
        containers = [value for value in level if isinstance(value, (dict, list))]
        if not containers:
            return False
        level = [inner for c in containers for inner in (c.values() if isinstance(c, dict) else c)]
    return True


def check_job(feature: str, job: Job) -> Rejection | None:
    """What is wrong with a well-shaped job, or None."""
    invalid = FailureCode.INVALID_INPUT
    if job.v != 1:
        return Rejection(invalid, "v", f"version {job.v} is not known, this system speaks version 1")
    if not TENANT_PATTERN.fullmatch(job.tenant):
        return Rejection(invalid, "tenant", "want 1 to 64 of A-Z, a-z, 0-9, _, . and -")
    for wanted in job.preferred or ():
        if not ADAPTER_ID_PATTERN.fullmatch(wanted):
            return Rejection(invalid, "model_preference", f"{wanted[:80]!r} is not an adapter id")
    if job.preferred == ():
        return Rejection(invalid, "model_preference", "the list is empty; leave it out for any adapter")
    if isinstance(job.variant, str) and not VARIANT_PATTERN.fullmatch(job.variant):
        return Rejection(invalid, "variant", f"{job.variant[:80]!r}: want 1 to 32 of A-Z, a-z, 0-9, _, . and -")
    if job.wanted_variant is not None and job.vram_mb is not None:
        return Rejection(
            invalid, "variant", "variant and vram_mb exclude each other: a variant has its own requirement"
        )
    try:
        files = list(file_refs(job.inputs))
    except FileRefError as error:
        return Rejection(error.code, error.field, error.message)
    if len(files) > MAX_FILES:
        return Rejection(FailureCode.TOO_LARGE, "inputs", f"{len(files)} files, at most {MAX_FILES} are taken")
    for path, value in _leaves({k: v for k, v in job.inputs.items() if not is_file_key(k)}, "inputs"):
        if isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
            return Rejection(
                FailureCode.TOO_LARGE, path, f"{len(value)} characters, at most {MAX_TEXT_CHARS} are taken"
            )
        if isinstance(value, int) and not is_wire_integer(value):
            return Rejection(invalid, path, "the number does not fit into 64 bits")
    missing = missing_input(feature, job.inputs)
    if missing:
        wanted_keys = " or ".join(missing)
        return Rejection(invalid, f"inputs.{missing[0]}", f"{feature} needs {wanted_keys}")
    for alternatives in ("text_prompt",):
        text = job.inputs.get(alternatives)
        if text is not None and not isinstance(text, str):
            return Rejection(invalid, f"inputs.{alternatives}", f"expected a string, got {type(text).__name__}")
        if isinstance(text, str) and not text.strip():
            return Rejection(invalid, f"inputs.{alternatives}", "the prompt is empty")
    return None


def _names_itself(job_id: str, job: Job) -> Rejection | None:
    for ref in result_refs(job.inputs):
        if ref.result == job_id:
            return Rejection(FailureCode.INVALID_INPUT, f"{ref.field}.result", "a job cannot wait for its own result")
    return None


def check_priority(priority: str) -> Rejection | None:
    """What is wrong with a priority, or None."""
    if priority in PRIORITIES:
        return None
    return Rejection(FailureCode.INVALID_INPUT, "priority", f"{priority!r} is none of {', '.join(PRIORITIES)}")
