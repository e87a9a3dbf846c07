"""`p3d.api.*`: the micro service that the leading coordinator answers, from its engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from pocket3d.bus.jetstream_away import why_nothing_is_stored
from pocket3d.bus.port import (
    Bus,
    BusError,
    Endpoint,
    EndpointHandler,
    Msg,
    ServiceError,
    ServiceSpec,
    TooLarge,
)
from pocket3d.bus.result_inputs import check_results
from pocket3d.contracts.api import (
    AgentList,
    CancelRequest,
    EmptyRequest,
    FeatureList,
    JobRequest,
    ListRequest,
    endpoint_metadata,
)
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.features import FEATURE_PATTERN, canonical
from pocket3d.contracts.jobs import Job, SubmitRequest, admit, check_priority
from pocket3d.contracts.labels import job_label
from pocket3d.contracts.lifecycle import TERMINAL, JobState, Priority
from pocket3d.contracts.messages import Status
from pocket3d.contracts.subjects import Subjects

from ..engine import events
from ..engine.explain import explain, explain_turn, features
from ..engine.history import read_last_event
from ..engine.job_list import word_of
from ..engine.parameter_admission import judge
from ..leadership.request_cache import read_request
from ..leadership.request_fingerprint import REQUEST_DIGEST_HEADER, request_digest
from .chain_api import ChainApi
from .input_sizes import InputSizes
from .leader_term import LeaderTerm
from .listing import list_jobs
from .unread_jobs import find_unread, status_of_unread, why_unread

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Of jobs without an end that the engine does not hold.
_STILL_READING = "a new leader is reading the jobs stream and has not come to it yet"
_NOT_IN_STREAM = (
    "it is not in the jobs stream: its message was removed; `cancel` ends it, and to publish it again starts it"
)


class Api:
    """The endpoints of one leadership."""

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        term: LeaderTerm,
        clock: Callable[[], Now],
        *,
        version: str,
        coordinator_id: str,
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._term = term
        self._clock = clock
        self._version = version
        self._coordinator_id = coordinator_id
        self._quota = term.quota
        self._sizes = InputSizes(bus, subjects)
        self._chains = ChainApi(bus, subjects, term, clock)

    def service(self) -> ServiceSpec:
        """What to register."""
        # Name, handler, what it does, type and schema of its request, schema of its answer.
        table: list[tuple[str, EndpointHandler, str, type[msgspec.Struct], str, str]] = [
            ("submit", self._submit, "submit a job", SubmitRequest, "api.submit.request", "status"),
            ("status", self._status, "where a job stands", JobRequest, "api.job.request", "status"),
            ("list", self._list, "jobs by status, feature, tenant", ListRequest, "api.list.request", "api.list.answer"),
            ("cancel", self._cancel, "end a job", CancelRequest, "api.cancel.request", "status"),
            ("explain", self._explain, "why a job is not running", JobRequest, "api.job.request", "api.explain.answer"),
            ("features", self._features, "what can be asked", EmptyRequest, "api.empty.request", "api.features.answer"),
            ("agents", self._agents, "agents and devices", EmptyRequest, "api.empty.request", "api.agents.answer"),
            *self._chains.endpoints(),
        ]
        return ServiceSpec(
            name=self._subjects.api_service,
            version=self._version,
            description="Pocket3DStudio: submit jobs and ask for their status",
            metadata={
                "coordinator_id": self._coordinator_id,
                "namespace": self._subjects.namespace,
                # Its own results too go where the stream takes them.
                "proposes": "true",
            },
            endpoints=[
                Endpoint(name, self._subjects.api(name), handler, endpoint_metadata(text, kind, schema, answer))
                for name, handler, text, kind, schema, answer in table
            ],
        )

    # -- jobs

    async def _submit(self, msg: Msg) -> bytes:
        request = _read(SubmitRequest, msg)
        wrong = check_priority(request.priority)
        if wrong is not None:
            raise ServiceError(400, wrong.message, field=wrong.field)
        if not FEATURE_PATTERN.fullmatch(request.feature):
            raise ServiceError(
                400, f"feature {request.feature[:80]!r}: want 1 to 48 of a-z, 0-9 and _", field="feature"
            )
        job = request.job()
        body = encode(job)
        admission = admit(request.feature, body, None, self._term.generated_id(0))
        if admission.rejection is not None:
            raise ServiceError(400, admission.rejection.message, field=admission.rejection.field)
        if job.job_id is not None:
            known = await self._known(job.job_id)
            if known is not None:
                await self._compare(job.job_id, job)
                return encode(known)
        self._check_parameters(request)
        wrong = await check_results(self._bus, self._subjects, job, self._clock().wall)
        if wrong is not None:
            raise ServiceError(400, wrong.message, field=wrong.field)
        full = self._quota.refusal(request.tenant, self._clock().mono)
        if full is not None:
            raise ServiceError(429, full, field="tenant")
        priority: Priority = "high" if request.priority == "high" else "low" if request.priority == "low" else "normal"
        with self._quota.arriving(request.tenant) as arrival:
            job_id, seq = await self._store(self._subjects.job(priority, request.feature), job, body)
            arrival.stored = job_id, priority, seq
        at = rfc3339(self._clock().wall)
        return encode(
            Status(
                job_id=job_id,
                feature=request.feature,
                priority=priority,
                tenant=request.tenant,
                status="submitted",
                attempt=0,
                at=at,
                submitted_at=at,
                label=job_label(job),
            )
        )

    def _check_parameters(self, request: SubmitRequest) -> None:
        """What no adapter of the present fleet takes is told at once; it would be rejected a moment later."""
        verdict = judge(
            self._term.engine.core.fleet,
            canonical(request.feature),
            request.preferred,
            request.inputs,
            commercial_only=request.commercial_only is True,
        )
        if verdict.rejection is not None:
            raise ServiceError(400, verdict.rejection.message, field=verdict.rejection.field)

    async def _store(self, subject: str, job: Job, body: bytes) -> tuple[str, int]:
        """Store a job; its id and its sequence."""
        headers = {} if job.job_id is None else {"Nats-Msg-Id": job.job_id}
        try:
            headers |= await self._sizes.header(job.inputs)
            seq = await self._bus.append(subject, body, headers=headers)
        except TooLarge as error:
            raise ServiceError(413, str(error), field="body") from error
        except BusError as error:
            why = await why_nothing_is_stored(self._bus, self._subjects.jobs_stream)
            told = f"the job could not be stored: {error}{f': {why}' if why else ''}; submit it again with its job_id"
            raise ServiceError(503, told) from error
        if job.job_id is None:
            return self._term.generated_id(seq), seq
        await self._compare_stored(job.job_id, job, seq, subject)
        return job.job_id, seq

    async def _compare(self, job_id: str, job: Job) -> None:
        """A known id with another request is a mistake of the producer."""
        first = await self._bus.pages(self._subjects.events_stream, self._subjects.events_of(job_id), start=1, limit=1)
        digest = first[0].headers.get(REQUEST_DIGEST_HEADER) if first else None
        if digest is not None and digest != request_digest(job):
            raise _other_request(job_id)

    async def _compare_stored(self, job_id: str, job: Job, seq: int, subject: str) -> None:
        """Of submits of one id at once the stream keeps the first; the others get the sequence of that."""
        try:
            stored = await self._bus.get(self._subjects.jobs_stream, seq)
        except BusError as error:
            text = f"a request for job {job_id} is stored, but could not be read back: {error}; submit it again"
            raise ServiceError(503, text) from error
        if stored is None:
            # It has ended already.
            await self._compare(job_id, job)
            return
        first = read_request(stored.data).job
        if stored.subject != subject or first is None or request_digest(first) != request_digest(job):
            raise _other_request(job_id)

    async def _known(self, job_id: str) -> Status | None:
        """A job's status: of an unfinished one by the engine, of a finished one by its last event."""
        record = self._term.engine.record(job_id)
        if record is not None and record.state not in (JobState.FINISHED, JobState.RECOVERING):
            reason = None
            if record.state is JobState.QUEUED:
                reason = explain(self._term.engine.core, record, self._clock()).summary
            return record.status(word_of(record), rfc3339(self._clock().wall), reason=reason)
        found = await self._bus.last(self._subjects.events_stream, self._subjects.events_of(job_id))
        if found is None:
            return None
        status = read_last_event(job_id, found.subject, found.data, found.headers).status
        if status is None:
            raise ServiceError(500, f"the last event of job {job_id} cannot be read by this version", field="job_id")
        return status

    async def _found(self, job_id: str) -> Status | None:
        status = await self._known(job_id)
        if status is not None:
            return status
        unread = await find_unread(self._bus, self._subjects, self._term, job_id)
        return status_of_unread(self._term.engine.core, unread) if unread is not None else None

    async def _wanted(self, job_id: str) -> Status:
        status, core = await self._found(job_id), self._term.engine.core
        if status is not None:
            return status
        if core.intake.full():
            text = f"no job {job_id!r} is known, but it may be one that is not read yet: {why_unread(core)}"
            raise ServiceError(503, text, field="job_id")
        raise ServiceError(404, f"no job {job_id!r} is known", field="job_id")

    async def _status(self, msg: Msg) -> bytes:
        return encode(await self._wanted(_read(JobRequest, msg).job_id))

    async def _cancel(self, msg: Msg) -> bytes:
        request = _read(CancelRequest, msg)
        status = await self._wanted(request.job_id)
        if self._term.engine.record(request.job_id) is None:
            if status.status in TERMINAL:
                return encode(status)
            unread = await find_unread(self._bus, self._subjects, self._term, request.job_id)
            if unread is not None:
                # It is taken in to be ended at once, whatever the cap.
                self._term.feed(unread._replace(early=True))
        self._term.feed(events.CancelAsked(request.job_id, request.reason))
        await self._term.handled()
        return encode(await self._wanted(request.job_id))

    async def _explain(self, msg: Msg) -> bytes:
        request = _read(JobRequest, msg)
        record = self._term.engine.record(request.job_id)
        if record is not None:
            return encode(explain_turn(self._term.engine.core, record, self._clock()))
        status = await self._found(request.job_id)
        if status is None:
            step = await self._chains.explain(request.job_id)
            if step is not None:
                return encode(step)
            status = await self._wanted(request.job_id)
        if status.status in TERMINAL:
            summary = f"it has ended: {status.status}" + (f", {status.reason}" if status.reason else "")
        elif status.status == "submitted" and status.reason:
            summary = status.reason
        else:
            summary = _NOT_IN_STREAM if self._term.engine.core.jobs_indexed else _STILL_READING
        return encode({"status": status.status, "summary": summary, "reasons": []})

    async def _list(self, msg: Msg) -> bytes:
        request = _read(ListRequest, msg)
        return encode(await list_jobs(self._bus, self._subjects, self._term.engine.core, request))

    # -- the fleet

    async def _features(self, msg: Msg) -> bytes:
        _read(EmptyRequest, msg)
        return encode(FeatureList(features=features(self._term.engine.core)))

    async def _agents(self, msg: Msg) -> bytes:
        _read(EmptyRequest, msg)
        adverts = []
        for _, view in sorted(self._term.engine.core.fleet.agents.items()):
            offers = list(view.adapters.values())
            adverts.append(msgspec.structs.replace(view.advert, adapters=offers, preferred_adapters=view.preferred))
        return encode(AgentList(agents=adverts))


def _other_request(job_id: str) -> ServiceError:
    return ServiceError(409, f"job {job_id} is known with another request; take a new job_id", field="job_id")


def _read(kind: type[T], msg: Msg) -> T:
    """A request's body; an empty one stands for `{}`, as `nats req p3d.api.agents ''` sends it."""
    try:
        return decode(kind, msg.data or b"{}")
    except WireError as error:
        raise ServiceError(400, error.message, field=error.field) from error
