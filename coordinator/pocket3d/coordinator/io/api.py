"""`p3d.api.*`: the micro service that the leading coordinator answers, from its engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from pocket3d.bus.jetstream_away import why_nothing_is_stored
from pocket3d.bus.names import kv_stream, kv_subject
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
from pocket3d.contracts.api import (
    AgentList,
    CancelRequest,
    EmptyRequest,
    FeatureList,
    JobList,
    JobRequest,
    ListRequest,
    endpoint_metadata,
)
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.features import FEATURE_PATTERN
from pocket3d.contracts.jobs import Job, SubmitRequest, admit, check_priority
from pocket3d.contracts.lifecycle import JobState, StatusWord
from pocket3d.contracts.messages import Status
from pocket3d.contracts.subjects import Subjects

from ..engine import events
from ..engine.explain import explain, features
from ..engine.history import read_last_event
from ..leadership.request_cache import read_request
from ..leadership.request_fingerprint import REQUEST_DIGEST_HEADER, request_digest
from .leader_term import LeaderTerm

log = structlog.get_logger(__name__)

T = TypeVar("T")

_PAGE = 500
_WORDS: dict[JobState, StatusWord] = {
    JobState.SUBMITTED: "submitted",
    JobState.RECOVERING: "queued",
    JobState.QUEUED: "queued",
    JobState.AWARDED: "awarded",
    JobState.RUNNING: "running",
    #: Its end is proposed, and the results stream may yet decide otherwise.
    JobState.FINISHING: "running",
    JobState.FINISHED: "running",
}


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
        ]
        return ServiceSpec(
            name=self._subjects.api_service,
            version=self._version,
            description="Pocket3DStudio: submit jobs and ask for their status",
            metadata={"coordinator_id": self._coordinator_id, "namespace": self._subjects.namespace},
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
        admission = admit(request.feature, body, None, "")
        if admission.rejection is not None:
            raise ServiceError(400, admission.rejection.message, field=admission.rejection.field)
        if job.job_id is not None:
            known = await self._known(job.job_id)
            if known is not None:
                await self._compare(job.job_id, job)
                return encode(known)
        headers = {} if job.job_id is None else {"Nats-Msg-Id": job.job_id}
        try:
            seq = await self._bus.append(self._subjects.job(request.priority, request.feature), body, headers=headers)
        except TooLarge as error:
            raise ServiceError(413, str(error), field="body") from error
        except BusError as error:
            why = await why_nothing_is_stored(self._bus, self._subjects.jobs_stream)
            told = f"the job could not be stored: {error}{f': {why}' if why else ''}; submit it again with its job_id"
            raise ServiceError(503, told) from error
        if job.job_id is not None:
            await self._compare_stored(job.job_id, job, seq, self._subjects.job(request.priority, request.feature))
        job_id = job.job_id or self._term.generated_id(seq)
        return encode(
            Status(
                job_id=job_id,
                feature=request.feature,
                priority="high" if request.priority == "high" else "low" if request.priority == "low" else "normal",
                tenant=request.tenant,
                status="submitted",
                attempt=0,
                at=rfc3339(self._clock().wall),
            )
        )

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
            word = _WORDS[record.state]
            if record.state is JobState.FINISHING and not record.started_published:
                word = "queued"
            reason = None
            if record.state is JobState.QUEUED:
                reason = explain(self._term.engine.core, record, self._clock()).summary
            return record.status(word, rfc3339(self._clock().wall), reason=reason)
        found = await self._bus.last(self._subjects.events_stream, self._subjects.events_of(job_id))
        if found is None:
            return None
        status = read_last_event(job_id, found.subject, found.data, found.headers).status
        if status is None:
            raise ServiceError(500, f"the last event of job {job_id} cannot be read by this version", field="job_id")
        return status

    async def _wanted(self, job_id: str) -> Status:
        status = await self._known(job_id)
        if status is None:
            raise ServiceError(404, f"no job {job_id!r} is known", field="job_id")
        return status

    async def _status(self, msg: Msg) -> bytes:
        return encode(await self._wanted(_read(JobRequest, msg).job_id))

    async def _cancel(self, msg: Msg) -> bytes:
        request = _read(CancelRequest, msg)
        await self._wanted(request.job_id)
        self._term.feed(events.CancelAsked(request.job_id, request.reason))
        await self._term.handled()
        return encode(await self._wanted(request.job_id))

    async def _explain(self, msg: Msg) -> bytes:
        request = _read(JobRequest, msg)
        record = self._term.engine.record(request.job_id)
        if record is not None:
            return encode(explain(self._term.engine.core, record, self._clock()))
        status = await self._wanted(request.job_id)
        summary = f"it has ended: {status.status}" + (f", {status.reason}" if status.reason else "")
        return encode({"status": status.status, "summary": summary, "reasons": []})

    async def _list(self, msg: Msg) -> bytes:
        request = _read(ListRequest, msg)
        if not 1 <= request.limit <= 1000:
            raise ServiceError(400, f"limit {request.limit}: want 1 to 1000", field="limit")
        after = decimal(request.after or "0")
        if after is None:
            raise ServiceError(400, "want the `next` of the page before", field="after")
        start = after + 1
        found: list[Status] = []
        stream = kv_stream(self._subjects.status_bucket)
        subject = kv_subject(self._subjects.status_bucket, ">")
        while True:
            page = await self._bus.pages(stream, subject, start=start, limit=_PAGE)
            for stored in page:
                start = stored.seq + 1
                try:
                    status = decode(Status, stored.data)
                except WireError as error:
                    log.warning("a status could not be read", subject=stored.subject, error=str(error))
                    continue
                if _matches(status, request):
                    found.append(status)
                    if len(found) >= request.limit:
                        return encode(JobList(jobs=found, next=str(stored.seq)))
            if len(page) < _PAGE:
                return encode(JobList(jobs=found))

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


def _matches(status: Status, request: ListRequest) -> bool:
    return (
        (request.status is None or status.status == request.status)
        and (request.feature is None or status.feature == request.feature)
        and (request.tenant is None or status.tenant == request.tenant)
    )


def _read(kind: type[T], msg: Msg) -> T:
    """A request's body; an empty one stands for `{}`, as `nats req p3d.api.agents ''` sends it."""
    try:
        return decode(kind, msg.data or b"{}")
    except WireError as error:
        raise ServiceError(400, error.message, field=error.field) from error
