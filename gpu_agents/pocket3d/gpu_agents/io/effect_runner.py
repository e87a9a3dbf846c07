"""Runs the engine's effects and reports each outcome as an event. Decides nothing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from pocket3d.bus.port import Bus, BusError, Conflict, Msg, ServiceError, TooLarge
from pocket3d.bus.proposals import Proposals
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import OutcomesNoted
from pocket3d.contracts.messages import read_result
from pocket3d.contracts.subjects import Subjects

from ..devices.probes.port import Probe
from ..engine import effects, events
from .job_files import JobFiles
from .storage_check import StorageCheck, explained, never_passes
from .worker_gateway import WorkerGateway

log = structlog.get_logger(__name__)

#: How long an answer to a report of outcomes is waited for, and one to a store, in seconds.
_OUTCOME_TIMEOUT_S = 2.0
_STORE_TIMEOUT_S = 5.0
#: The probe's line in the task pool; no attempt's token has a slash.
_PROBE = "/probe"


@dataclass
class EffectRunner:
    """Runs effects on the bus, the files, the workers and the probe."""

    bus: Bus
    subjects: Subjects
    agent_id: str
    files: JobFiles
    workers: WorkerGateway
    probe: Probe
    storage: StorageCheck
    #: Where the work runs.
    tasks: TaskPool
    #: Takes events.
    emit: Callable[[events.Event], None]
    clock: Callable[[], Now]
    #: Called when the engine has left.
    leave: Callable[[effects.Exit], None]
    #: The last measurement failed; the first of a row is logged.
    _probe_failed: bool = False
    #: Adapters whose schema was left out of the last full advert.
    _without_schema: tuple[str, ...] = ()
    #: The last advert was larger than the server takes; the first of a row is logged.
    _advert_too_large: bool = False
    #: Core messages, in the order in which the engine wanted them.
    _outbox: deque[Coroutine[Any, Any, None]] = field(default_factory=deque)
    _to_send: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.proposals = Proposals(self.bus, self.subjects)

    async def send_all(self) -> None:
        """Send core messages one after the other. Runs for ever."""
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            while self._outbox:
                try:
                    await self._outbox[0]
                except BusError as error:
                    # Adverts come again, commands are asked again: nothing that is lost here is missed.
                    log.debug("a message was not sent", error=str(error))
                finally:
                    del self._outbox[0]

    async def flush(self, timeout: float) -> None:
        """Wait at most `timeout` seconds until the queued messages are sent."""
        last = asyncio.Event()

        async def mark() -> None:
            last.set()

        self._send(mark())
        try:
            await asyncio.wait_for(last.wait(), timeout)
        except asyncio.TimeoutError:
            log.debug("some messages were not sent before the end")

    def discard(self) -> None:
        """Drop the queued messages."""
        for message in self._outbox:
            message.close()

    def run(self, effect: effects.Effect) -> None:
        """Start an effect; returns at once."""
        _HANDLERS[type(effect)](self, effect)

    def _in_line(self, token: str, work: Coroutine[Any, Any, None], *, instead: bool = False) -> None:
        """Work for one attempt, after all that was begun for it before. An error that nobody foresaw is that
        attempt's failure, and not the agent's end.
        """

        def on_error(error: BaseException) -> None:
            log.error("unexpected error", agent_id=self.agent_id, token=token, exc_info=error)
            self.emit(events.TaskFailed(token, f"{type(error).__name__}: {error}"))

        self.tasks.in_line(token, work, instead=instead, on_error=on_error)

    # -- messages

    def _send(self, message: Coroutine[Any, Any, None]) -> None:
        self._outbox.append(message)
        self._to_send.set()

    def _publish(self, subject: str, message: Any) -> None:
        self._send(self.bus.publish(subject, encode(message)))

    def _answer(self, request: events.Request, answer: bytes | ServiceError) -> None:
        if isinstance(request, Msg) and isinstance(answer, bytes):
            self._send(self.bus.respond(request, answer))
        elif not isinstance(request, asyncio.Future) or request.done():
            # An operator does not wait any more.
            return
        elif isinstance(answer, ServiceError):
            request.set_exception(answer)
        else:
            request.set_result(answer)

    def _advert(self, effect: effects.PublishAdvert) -> None:
        if effect.advert.adapters is not None and effect.without_schema != self._without_schema:
            self._without_schema = effect.without_schema
            if effect.without_schema:
                log.warning(
                    "adverts exceed what the server takes: schemas are left out, this agent alone checks inputs",
                    agent_id=self.agent_id,
                    adapters=effect.without_schema,
                    max_payload=self.bus.max_payload,
                )
        self._send(self._send_advert(encode(effect.advert)))

    async def _send_advert(self, body: bytes) -> None:
        try:
            await self.bus.publish(self.subjects.advert(self.agent_id), body)
        except TooLarge as error:
            if not self._advert_too_large:
                self._advert_too_large = True
                log.warning(
                    "adverts are not sent, so this agent counts as lost: raise the server's max_payload",
                    agent_id=self.agent_id,
                    error=str(error),
                )
        else:
            self._advert_too_large = False

    async def _check_storage(self) -> None:
        # There may be a new connection, which may lead elsewhere.
        self.proposals.look_again()
        self.emit(await self.storage.look())

    def _log(self, line: effects.LogLine) -> None:
        write = log.warning if line.level == "warning" else log.info
        write(line.text, agent_id=self.agent_id, **line.fields)

    async def _send_outcomes(self, effect: effects.SendOutcomes) -> None:
        noted: list[str] = []
        try:
            answer = await self.bus.request(
                self.subjects.outcome(self.agent_id), encode(effect.report), timeout=_OUTCOME_TIMEOUT_S
            )
            noted = decode(OutcomesNoted, answer.data).noted
        except (BusError, WireError) as error:
            log.debug("outcomes were not answered", error=str(error))
        self.emit(events.OutcomesAnswered(tuple(noted)))

    # -- results

    async def _store_result(self, effect: effects.StoreResult) -> None:
        result = effect.result
        try:
            await self.proposals.store(result.feature, result.job_id, effect.body, timeout=_STORE_TIMEOUT_S)
        except Conflict:
            self.emit(events.ResultConflict(effect.token))
        except TooLarge as error:
            self.emit(events.ResultRefused(effect.token, f"the result: {error}; return files instead"))
        except BusError as error:
            log.info("a result is not known to be stored", job_id=result.job_id, token=effect.token, error=str(error))
            self.emit(events.ResultUnknown(effect.token, explained(error), never_passes(error)))
        else:
            self.emit(events.ResultStored(effect.token))

    async def _read_result(self, effect: effects.ReadResult) -> None:
        try:
            stored = await self.bus.last(self.subjects.results_stream, self.subjects.result_of(effect.job_id))
        except BusError as error:
            log.info("a result could not be read back", job_id=effect.job_id, token=effect.token, error=str(error))
            self.emit(events.ResultUnknown(effect.token, explained(error), never_passes(error)))
            return
        token: str | None = None
        if stored is not None:
            try:
                token = read_result(stored.data, effect.job_id).token or ""
            except WireError as error:
                # No result: the leader deletes it, and then ours is proposed again.
                log.warning("bytes that are no result stand there", subject=stored.subject, error=str(error))
        self.emit(events.ResultRead(effect.token, token))

    # -- files

    def _fetch(self, effect: effects.FetchInputs) -> None:
        fetched = self.files.fetch_now(effect)
        if fetched is not None:
            self.emit(fetched)
        else:
            self._in_line(effect.token, self._emit_result(self.files.fetch, effect))

    async def _emit_result(self, work: Callable[[Any], Awaitable[events.Event]], effect: effects.Effect) -> None:
        # Called here: the task may be cancelled before its first step, and a coroutine made before would stay open.
        self.emit(await work(effect))

    def _clean_up(self, effect: effects.CleanUp) -> None:
        if self.tasks.in_flight(effect.token):
            self._in_line(effect.token, self._clean_up_after(effect.token), instead=True)
        else:
            self.files.folders.give_back(effect.token)

    async def _clean_up_after(self, token: str) -> None:
        self.files.folders.give_back(token)

    # -- workers and devices

    async def _read_probe(self) -> None:
        taken_at = self.clock().mono
        readings = await asyncio.to_thread(self.probe.read)
        if self._probe_failed:
            self._probe_failed = False
            log.info("the devices are measured again", agent_id=self.agent_id)
        self.emit(events.ProbeRead(readings, taken_at))

    def _on_probe_error(self, error: BaseException) -> None:
        if not self._probe_failed:
            self._probe_failed = True
            log.error(
                "the devices could not be measured; what was measured last counts until it is too old",
                agent_id=self.agent_id,
                exc_info=error,
            )
        self.emit(events.ProbeRead({}, self.clock().mono))


_HANDLERS: dict[type[effects.Effect], Callable[[EffectRunner, Any], object]] = {
    effects.PublishAdvert: EffectRunner._advert,
    effects.Reply: lambda self, effect: self._answer(effect.request, encode(effect.message)),
    effects.RefuseRequest: lambda self, effect: self._answer(effect.request, ServiceError(effect.code, effect.message)),
    effects.SendBids: lambda self, effect: self._publish(self.subjects.bids(effect.coordinator_id), effect.answer),
    effects.SendOutcomes: lambda self, effect: self.tasks.spawn(self._send_outcomes(effect)),
    effects.PublishProgress: lambda self, effect: self._publish(
        self.subjects.progress(effect.progress.feature, effect.progress.job_id), effect.progress
    ),
    effects.FetchInputs: EffectRunner._fetch,
    effects.StartWorker: lambda self, effect: self.tasks.spawn(self.workers.start(effect)),
    effects.RunOnWorker: lambda self, effect: self.workers.run(effect),
    effects.CancelOnWorker: lambda self, effect: self.workers.cancel(effect),
    effects.StopWorker: lambda self, effect: self.tasks.spawn(self.workers.stop(effect)),
    effects.UploadOutputs: lambda self, effect: self._in_line(
        effect.token, self._emit_result(self.files.upload, effect)
    ),
    effects.StoreResult: lambda self, effect: self._in_line(effect.token, self._store_result(effect)),
    effects.ReadResult: lambda self, effect: self._in_line(effect.token, self._read_result(effect)),
    effects.DropArtifacts: lambda self, effect: self._in_line(effect.token, self.files.drop(effect)),
    effects.CleanUp: EffectRunner._clean_up,
    effects.CheckStorage: lambda self, effect: self.tasks.spawn(self._check_storage()),
    effects.LogLine: EffectRunner._log,
    effects.ProbeNow: lambda self, effect: self.tasks.in_line(
        _PROBE, self._read_probe(), on_error=self._on_probe_error
    ),
    effects.Exit: lambda self, effect: self.leave(effect),
}
