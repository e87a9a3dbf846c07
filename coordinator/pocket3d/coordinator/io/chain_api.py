"""`p3d.api.chain*` and `p3d.api.group*`: what people ask of chains and of groups."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import msgspec

from pocket3d.bus.port import Bus, BusError, Conflict, EndpointHandler, Msg, ServiceError, TooLarge
from pocket3d.contracts.api import ApiRequest, Explanation
from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.chain_messages import (
    ChainCancelRequest,
    ChainIdRequest,
    ChainList,
    ChainListRequest,
    ChainStatus,
    ChainWord,
    GroupCancelRequest,
    GroupIdRequest,
    GroupList,
    GroupStatus,
)
from pocket3d.contracts.chains import (
    MAX_ROUNDS,
    AnyChainRequest,
    ChainRequest,
    GroupRequest,
    check,
    field_of,
    id_of,
    job_id_of,
    jobs_of,
    with_id,
)
from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.features import canonical
from pocket3d.contracts.jobs import is_generated_id
from pocket3d.contracts.subjects import CHAIN_ID_PATTERN, JOB_ID_PATTERN, ChainKind, Subjects

from ..chains import events
from ..chains.explain import explain_step, may_belong_to
from ..chains.record import ChainKey, ChainRecord
from ..chains.story import read_request, read_status, record_of, status_of
from ..engine.explain import sources_in_words
from ..engine.parameter_admission import judge
from .chain_store import (
    Story,
    Submitted,
    fit_artifacts,
    fits,
    read_page,
    read_story,
    record_of_story,
    room_of,
    store_request,
    with_artifacts,
)
from .chain_view import now_of
from .leader_term import LeaderTerm
from .listing import check_status

_MOST_LISTED = 100


class ChainEndpoint(NamedTuple):
    """One endpoint: name, handler, what it does, type and schema of its request, schema of its answer."""

    name: str
    handler: EndpointHandler
    text: str
    request: type[msgspec.Struct]
    schema: str
    answer: str


class ChainApi:
    """The endpoints of one leadership."""

    def __init__(self, bus: Bus, subjects: Subjects, term: LeaderTerm, clock: Callable[[], Now]) -> None:
        self._bus = bus
        self._subjects = subjects
        self._term = term
        self._clock = clock

    def endpoints(self) -> list[ChainEndpoint]:
        """What to register beside the endpoints of jobs."""
        chain, group = ("api.chain.request", "chain.status"), ("api.group.request", "group.status")
        an_id, a_group = ("api.chain.id.request", "chain.status"), ("api.group.id.request", "group.status")
        end, end_group = ("api.chain.cancel.request", "chain.status"), ("api.group.cancel.request", "group.status")
        page = ("api.chain.list.request", "api.chain.list.answer")
        groups = ("api.chain.list.request", "api.group.list.answer")
        return [
            ChainEndpoint("chain", self._chain, "submit several jobs as one chain", ChainRequest, *chain),
            ChainEndpoint("chain_status", self._status("chain"), "where a chain stands", ChainIdRequest, *an_id),
            ChainEndpoint("chain_cancel", self._cancel("chain"), "end a chain", ChainCancelRequest, *end),
            ChainEndpoint("chain_retry", self._retry("chain"), "try what failed again", ChainIdRequest, *an_id),
            ChainEndpoint("chain_list", self._list("chain"), "chains by status, tenant", ChainListRequest, *page),
            ChainEndpoint("group", self._group, "submit many jobs as one group", GroupRequest, *group),
            ChainEndpoint("group_status", self._status("group"), "where a group stands", GroupIdRequest, *a_group),
            ChainEndpoint("group_cancel", self._cancel("group"), "end a group", GroupCancelRequest, *end_group),
            ChainEndpoint("group_retry", self._retry("group"), "try what failed again", GroupIdRequest, *a_group),
            ChainEndpoint("group_list", self._list("group"), "groups by status, tenant", ChainListRequest, *groups),
        ]

    # -- submit

    async def _chain(self, msg: Msg) -> bytes:
        return await self._submit("chain", _read(ChainRequest, msg))

    async def _group(self, msg: Msg) -> bytes:
        return await self._submit("group", _read(GroupRequest, msg))

    async def _submit(self, kind: ChainKind, asked: AnyChainRequest) -> bytes:
        request = with_id(asked, uuid.uuid4().hex)
        wrong = check(request)
        if wrong is not None:
            raise ServiceError(400, wrong.message, field=wrong.field)
        key = ChainKey(kind, id_of(request))
        story = await read_story(self._bus, self._subjects, key)
        if story is None:
            self._judge(request)
            self._room_for(request, key)
            story = await self._store(key, request)
        if story is not None:
            _compare(key, story, request)
            if not story.last.ends:
                # Stored by a former leader, or late: nobody may have begun it.
                await self._hold(key)
        return encode(await self._wanted(key))

    def _judge(self, request: AnyChainRequest) -> None:
        """Refuse what would fail for certain, with the step at fault."""
        fleet = self._term.engine.core.fleet
        for place, job in enumerate(jobs_of(request)):
            assert job.job_id is not None
            if is_generated_id(job.job_id, self._term.generated_id(0)):
                told = f"{job.job_id!r} is what this stream calls a job that comes without an id; choose another"
                raise ServiceError(400, told, field=field_of(request, place, "job_id"))
            verdict = judge(
                fleet,
                canonical(job.feature),
                job.preferred,
                job.inputs,
                commercial_only=job.commercial_only is True,
            )
            if verdict.rejection is not None:
                told, field = verdict.rejection.message, verdict.rejection.field
                raise ServiceError(400, told, field=field_of(request, place, field))

    def _room_for(self, request: AnyChainRequest, key: ChainKey) -> None:
        """Refuse what cannot be held now."""
        steps = request.steps if isinstance(request, ChainRequest) else request.jobs
        full = self._term.chains.engine.full(len(steps))
        if full is not None:
            raise ServiceError(429, f"{full}; submit it again when some have")
        full = self._term.quota.refusal(request.tenant, self._clock().mono)
        if full is not None:
            raise ServiceError(429, full, field="tenant")
        at = rfc3339(self._clock().wall)
        if not fits(status_of(record_of(key, request, 0, at), at), room_of(self._bus)):
            told = f"the status of {len(steps)} would be larger than a message of {self._bus.max_payload} bytes"
            field = "steps" if key.kind == "chain" else "jobs"
            raise ServiceError(413, f"{told}: submit fewer at once", field=field)

    async def _store(self, key: ChainKey, request: AnyChainRequest) -> Story | None:
        """Store a new one and begin it; what was there before, if anything was."""
        what = f"{key.kind}_id"
        try:
            seq = await store_request(self._bus, self._subjects, key.kind, request)
        except Conflict as error:
            story = await read_story(self._bus, self._subjects, key)
            if story is None:
                # A rival was in process and has failed itself.
                told = f"the {key.kind} could not be stored: {error}; submit it again with its {what}"
                raise ServiceError(503, told) from error
            return story
        except TooLarge as error:
            raise ServiceError(413, str(error), field="body") from error
        except BusError as error:
            told = f"the {key.kind} could not be stored: {error}; submit it again with its {what}"
            raise ServiceError(503, told) from error
        record = record_of(key, request, seq, rfc3339(self._clock().wall))
        self._term.chains.feed(events.ChainFound(key, record))
        await self._term.chains.handled()
        return None

    # -- status

    def _status(self, kind: ChainKind) -> EndpointHandler:
        async def status(msg: Msg) -> bytes:
            return encode(await self._wanted(self._key(kind, msg, ChainIdRequest, GroupIdRequest)[0]))

        return status

    async def _wanted(self, key: ChainKey) -> ChainStatus | GroupStatus:
        """Where one stands: an unfinished one by the engine, an ended one by its last event."""
        record = self._term.chains.engine.chains.get(key)
        if record is None:
            story = await self._story(key)
            try:
                if story.last.ends:
                    return read_status(key, story.last.data)
                record = record_of_story(key, story)
            except WireError as error:
                told = f"what is stored of the {key.kind} {key.name} cannot be read by this version: {error}"
                raise ServiceError(500, told, field=f"{key.kind}_id") from error
        status = await now_of(self._bus, self._subjects, self._term.engine.core, record, self._clock())
        if isinstance(status, ChainStatus):
            return fit_artifacts(await with_artifacts(self._bus, self._subjects, status), room_of(self._bus))
        return status

    async def _story(self, key: ChainKey) -> Story:
        story = await read_story(self._bus, self._subjects, key)
        if story is None:
            raise ServiceError(404, f"no {key.kind} {key.name!r} is known", field=f"{key.kind}_id")
        return story

    @staticmethod
    def _key(kind: ChainKind, msg: Msg, of_chain: type[ApiRequest], of_group: type[ApiRequest]) -> tuple[ChainKey, Any]:
        request = _read(of_chain if kind == "chain" else of_group, msg)
        name: str = getattr(request, f"{kind}_id")
        if not CHAIN_ID_PATTERN.fullmatch(name):
            raise ServiceError(400, f"{name[:80]!r}: want 1 to 40 of A-Z, a-z, 0-9, _ and -", field=f"{kind}_id")
        return ChainKey(kind, name), request

    async def explain(self, job_id: str) -> Explanation | None:
        """What a step waits for whose job is not published; None if no chain and no group has such a step.

        Raises:
            BusError: the chains stream could not be read.
            ServiceError: what it holds cannot be read by this version.
        """
        found, now = self._term.chains.engine.chain_of(job_id), self._clock()
        chains = [found] if found is not None else [await self._chain_that_was(key) for key in may_belong_to(job_id)]
        for chain in filter(None, chains):
            told = explain_step(chain, job_id, self._term.quota.refusal(chain.tenant, now.mono))
            if told is not None:
                more = sources_in_words(self._term.engine.core, told.waits_for, now)
                return msgspec.structs.replace(told, summary=told.summary + more)
        return None

    async def _chain_that_was(self, key: ChainKey) -> ChainRecord | None:
        """One as it stands, or as it ended; None if it is not known."""
        record = self._term.chains.engine.chains.get(key)
        if record is not None:
            return record
        story = await read_story(self._bus, self._subjects, key)
        return _record(key, story) if story is not None else None

    # -- cancel and retry

    def _cancel(self, kind: ChainKind) -> EndpointHandler:
        async def cancel(msg: Msg) -> bytes:
            key, request = self._key(kind, msg, ChainCancelRequest, GroupCancelRequest)
            why = request.reason or "cancelled on request"
            await self._hold(key)
            if key in self._term.chains.engine.chains:
                await self._ask(lambda ask: events.CancelAsked(key, why, ask))
            return encode(await self._wanted(key))

        return cancel

    def _retry(self, kind: ChainKind) -> EndpointHandler:
        async def retry(msg: Msg) -> bytes:
            key, _ = self._key(kind, msg, ChainIdRequest, GroupIdRequest)
            await self._hold(key)
            if key not in self._term.chains.engine.chains:
                story = await self._story(key)
                if story.last.ends and story.last.event != "succeeded":
                    record = _ended(key, story)
                    full = self._term.chains.engine.full(len(record.steps))
                    if full is not None:
                        raise ServiceError(429, f"{full}; try it again when some have")
                    await self._ask(lambda ask: events.RetryAsked(record, ask))
            return encode(await self._wanted(key))

        return retry

    async def _hold(self, key: ChainKey) -> None:
        """See that the engine holds it, unless it has ended or is not known."""
        if not await self._term.chains.adopt(key):
            raise ServiceError(503, f"the {key.kind} {key.name} cannot be read now; ask again")

    async def _ask(self, event: Callable[[int], events.ChainEvent]) -> None:
        if not await self._term.chains.asked(event):
            raise ServiceError(503, "another coordinator leads now; ask again")

    # -- list

    def _list(self, kind: ChainKind) -> EndpointHandler:
        async def listed(msg: Msg) -> bytes:
            request = _read(ChainListRequest, msg)
            if not 1 <= request.limit <= _MOST_LISTED:
                raise ServiceError(400, f"limit {request.limit}: want 1 to {_MOST_LISTED}", field="limit")
            check_status(request.status, get_args(ChainWord))
            after = decimal(request.after or "")
            if request.after and after is None:
                raise ServiceError(400, "want the `next` of the page before", field="after")
            page, position = await self._page(kind, request, after)
            told = str(position) if position else None
            if kind == "chain":
                return encode(ChainList(chains=[each for each in page if isinstance(each, ChainStatus)], next=told))
            return encode(GroupList(groups=[each for each in page if isinstance(each, GroupStatus)], next=told))

        return listed

    async def _page(
        self, kind: ChainKind, request: ChainListRequest, after: int | None
    ) -> tuple[list[ChainStatus | GroupStatus], int]:
        """Statuses, the newest first, and from where the next page goes on; it may hold less than the limit."""
        before = after if after is not None else await self._bus.last_seq(self._subjects.chains_stream) + 1
        found: list[Submitted] = []

        def take(each: Submitted) -> bool:
            if len(found) == _MOST_LISTED:
                return False
            found.append(each)
            return True

        async with self._term.chains.listing:
            position = await read_page(self._bus, self._subjects, kind, before, take)
        page: list[ChainStatus | GroupStatus] = []
        room = room_of(self._bus)
        for each in found:
            status = await self._listed(each.key)
            if status is None or request.status not in (None, status.status):
                continue
            if request.tenant not in (None, status.tenant):
                continue
            room -= len(encode(status)) + 1
            if len(page) == request.limit or (page and room < 256):
                return page, each.seq + 1
            page.append(status)
        return page, position

    async def _listed(self, key: ChainKey) -> ChainStatus | GroupStatus | None:
        """One for a list: without what each step made, and without the jobs of a group."""
        try:
            status = await self._brief(key)
        except (ServiceError, WireError):
            # It is not kept any more, or of a later version.
            return None
        if isinstance(status, GroupStatus):
            return msgspec.structs.replace(status, jobs=[])
        return msgspec.structs.replace(
            status, steps=[msgspec.structs.replace(step, artifacts=[]) for step in status.steps]
        )

    async def _brief(self, key: ChainKey) -> ChainStatus | GroupStatus:
        record = self._term.chains.engine.chains.get(key)
        if record is None:
            story = await self._story(key)
            if story.last.ends:
                return read_status(key, story.last.data)
            record = record_of_story(key, story)
        return await now_of(self._bus, self._subjects, self._term.engine.core, record, self._clock(), brief=True)


def _ended(key: ChainKey, story: Story) -> ChainRecord:
    """One that is to be tried again."""
    record = _record(key, story)
    if record.round_no >= MAX_ROUNDS:
        raise ServiceError(409, f"it has run {MAX_ROUNDS} times; submit it anew", field=f"{key.kind}_id")
    for step in record.steps:
        again = job_id_of(step.plan.first_id, record.round_no + 1)
        if not JOB_ID_PATTERN.fullmatch(again):
            told = f"{again!r} would be the id of its next try, which has more than 64 characters; submit it anew"
            raise ServiceError(409, told, field=f"{key.kind}_id")
    return record


def _record(key: ChainKey, story: Story) -> ChainRecord:
    try:
        return record_of_story(key, story)
    except WireError as error:
        told = f"what is stored of the {key.kind} {key.name} cannot be read by this version: {error}"
        raise ServiceError(500, told, field=f"{key.kind}_id") from error


def _compare(key: ChainKey, story: Story, request: AnyChainRequest) -> None:
    """A known id with another request is a mistake of whoever submits it."""
    try:
        same = read_request(key, story.first.data) == request
    except WireError:
        same = False
    if not same:
        told = f"{key.kind} {key.name} is known with another request; take a new {key.kind}_id"
        raise ServiceError(409, told, field=f"{key.kind}_id")


def _read(kind: type[Any], msg: Msg) -> Any:
    try:
        return decode(kind, msg.data or b"{}")
    except WireError as error:
        raise ServiceError(400, error.message, field=error.field) from error
