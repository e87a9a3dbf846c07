"""Hears what the system tells, once, and hands it to all readers: events from their stream, with their sequence; a
result after the last event of its job; the rest as it comes over the wire.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.client.watch import StreamWatch
from pocket3d.bus.port import BusError, Closable, Handler, Msg, Refused, Stored
from pocket3d.contracts.chain_messages import CHAIN_TERMINAL
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.commands import CallAnswered
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Advert, Progress, Result, Status

from .auctions import Auctions
from .events import Event, FanOut, Reader, Wants
from .job_desk import JobDesk
from .stats import Stats

log = structlog.get_logger("pocket3d.ops.gateway.events")

_PAGE = 256
#: Between two tries to listen, or to read a stream that is not there, seconds.
_PAUSE_S = 1.0


class _OfTenant(msgspec.Struct, frozen=True):
    """Of the status of a chain or a group: whose it is."""

    tenant: str


class EventHub:
    """The one subscription to each kind of message, and the readers.

    Args:
        client: a connection.
        jobs: remembers the tenants of jobs.
        stats: counts what is heard.
        queue: events that a reader may be behind.
    """

    def __init__(self, client: Client, jobs: JobDesk, stats: Stats, queue: int) -> None:
        self._client = client
        self._jobs = jobs
        self._stats = stats
        self.fan = FanOut(queue)
        self.auctions = Auctions()
        self._wakers: dict[Reader, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: list[Closable] = []

    async def start(self) -> None:
        """Begin to listen. While the server cannot be reached it goes on trying."""
        subjects = self._client.subjects
        self._tasks = [
            self._spawn(self._follow(subjects.events_stream, subjects.all_events(), self._on_event)),
            self._spawn(self._follow(subjects.chains_stream, subjects.all_chain_events("chain"), self._on_chain)),
            self._spawn(self._follow(subjects.chains_stream, subjects.all_chain_events("group"), self._on_chain)),
            self._spawn(self._listen(subjects.bids("*"), self._on_bids)),
            self._spawn(self._listen(subjects.all_progress(), self._on_progress)),
            self._spawn(self._listen(subjects.all_adverts(), self._on_advert)),
        ]

    async def close(self) -> None:
        """Listen no more; all readers are woken, and find that they are not open any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for subscription in self._subscriptions:
            await subscription.close()
        wakers, self._wakers = self._wakers, {}
        for waker in wakers.values():
            waker.set()

    # -- readers

    def open(self, wants: Wants) -> Reader:
        """A reader of what comes from now on."""
        reader = self.fan.open(wants)
        self._wakers[reader] = asyncio.Event()
        return reader

    def shut(self, reader: Reader) -> None:
        """It reads no more."""
        self.fan.close(reader)
        self._wakers.pop(reader, None)

    async def wait(self, reader: Reader, seconds: float) -> bool:
        """Until there is something for it; false if nothing came for so long.

        Raises:
            ConnectionAbortedError: the gateway stops.
        """
        waker = self._wakers.get(reader)
        if waker is None:
            raise ConnectionAbortedError("the gateway stops")
        if not len(reader) and not reader.missed:
            waker.clear()
            # No wait_for: it makes a task each time, and before Python 3.12 it may swallow a cancellation.
            timer = asyncio.get_running_loop().call_later(seconds, waker.set)
            try:
                await waker.wait()
            finally:
                timer.cancel()
        if reader not in self._wakers:
            raise ConnectionAbortedError("the gateway stops")
        return bool(len(reader) or reader.missed)

    def publish(self, event: Event) -> None:
        """Hand an event to all that want it."""
        for reader in self.fan.publish(event):
            waker = self._wakers.get(reader)
            if waker is not None:
                waker.set()

    # -- what is heard

    async def _follow(self, stream: str, subject: str, handle: Callable[[Stored], Awaitable[None]]) -> None:
        """A stream from now on. Core messages say that there is something to read; the stream says what."""
        bus = self._client.bus
        start = await self._begin(stream)

        async def page() -> list[Stored]:
            return await bus.pages(stream, subject, start=start, limit=_PAGE)

        async with StreamWatch(self._client.links, subject) as watch:
            while True:
                try:
                    found = await watch.read(page, list[Stored]())
                    if not found:
                        # A stream that was made anew begins again.
                        last = await watch.read(lambda: bus.last_seq(stream), start - 1)
                        start = min(start, last + 1)
                except Refused as error:
                    log.warning("a stream cannot be read; trying again", stream=stream, error=str(error))
                    await asyncio.sleep(_PAUSE_S)
                    continue
                for stored in found:
                    start = stored.seq + 1
                    await handle(stored)
                if len(found) < _PAGE:
                    await watch.news()

    async def _begin(self, stream: str) -> int:
        while True:
            try:
                return await self._client.bus.last_seq(stream) + 1
            except BusError as error:
                log.info("a stream cannot be read yet; trying again", stream=stream, error=str(error))
            await asyncio.sleep(_PAUSE_S)

    async def _on_event(self, stored: Stored) -> None:
        try:
            story = self._client.subjects.parse_story(stored.subject)
            status = decode(Status, stored.data)
        except (ValueError, WireError) as error:
            log.debug("not an event, passed over", subject=stored.subject, error=str(error))
            return
        self._jobs.remember_tenant(status.job_id, status.tenant)
        self._stats.status(status, story.event or status.status, time.time())
        if story.event == "started":
            self.auctions.started(status)
        ended = status.status in TERMINAL
        self.publish(Event("status", status.job_id, stored.data, status.tenant, stored.seq, final=ended))
        if ended:
            await self._tell_result(status.job_id)

    async def _on_chain(self, stored: Stored) -> None:
        try:
            kind, name, word = self._client.subjects.parse_chain(stored.subject)
            if word == "submitted":
                return
            tenant = decode(_OfTenant, stored.data).tenant
        except (ValueError, WireError) as error:
            log.debug("not an event of a chain, passed over", subject=stored.subject, error=str(error))
            return
        # Its sequence is of another stream than that of jobs' events: it is none to go on after.
        final = word in CHAIN_TERMINAL
        self.publish(Event(kind, f"{kind} {name}", stored.data, tenant, final=final))

    async def _on_bids(self, msg: Msg) -> None:
        try:
            self.auctions.answered(decode(CallAnswered, msg.data))
        except WireError:
            return

    async def _tell_result(self, job_id: str) -> None:
        """It stands in the results stream before the job's last event is written."""
        try:
            result = await self._jobs.result_now(job_id)
        except BusError as error:
            log.warning("a result could not be read; its readers do not get it", job_id=job_id, error=str(error))
            return
        if result is not None:
            self._stats.result(result, time.time())
            self.publish(Event("result", job_id, result_data(result), result.tenant))

    async def _on_progress(self, msg: Msg) -> None:
        try:
            progress = decode(Progress, msg.data)
        except WireError:
            return
        tenant = self._jobs.remembered_tenant(progress.job_id) or await self._look_up_tenant(progress.job_id)
        self._stats.progress(tenant, time.time())
        self.publish(Event("progress", progress.job_id, msg.data, tenant))

    async def _look_up_tenant(self, job_id: str) -> str:
        """Of a job that began before we listened. Empty, which is nobody's, where it cannot be told."""
        bus, subjects = self._client.bus, self._client.subjects
        try:
            stored = await bus.last(subjects.events_stream, subjects.events_of(job_id))
            tenant = decode(Status, stored.data).tenant if stored is not None else ""
        except (BusError, WireError):
            return ""
        self._jobs.remember_tenant(job_id, tenant)
        return tenant

    async def _on_advert(self, msg: Msg) -> None:
        if not self.fan.wanted("advert"):
            return
        try:
            advert = decode(Advert, msg.data)
        except WireError:
            return
        self.publish(Event("advert", advert.agent_id, msg.data, None, public_data=msgspec.json.encode(public(advert))))

    # -- how

    async def _listen(self, subject: str, handler: Handler) -> None:
        while True:
            try:
                self._subscriptions.append(await self._client.bus.subscribe(subject, handler))
                return
            except Refused as error:
                log.info("the server forbids to listen", subject=subject, error=str(error))
                return
            except BusError as error:
                log.warning("cannot listen; trying again", subject=subject, error=str(error))
            await asyncio.sleep(_PAUSE_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        task.add_done_callback(_tell_failure)
        return task


def public(advert: Advert) -> Advert:
    """An advert as callers that are no admins see it: without whose jobs run there."""
    return msgspec.structs.replace(advert, running=[])


def result_data(result: Result) -> bytes:
    """A result as it stands in the stream."""
    return msgspec.json.encode(result)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the gateway listens no more", exc_info=task.exception())
