"""Runs the engine's effects and reports each outcome as an event. Decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from pocket3d.bus.port import Bus, BusError, Conflict, Expect, Msg, ServiceError, TooLarge
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import OutcomesNoted
from pocket3d.contracts.messages import read_result
from pocket3d.contracts.subjects import Subjects

from ..devices.probes.port import Probe
from ..engine import effects, events
from .job_files import JobFiles
from .worker_gateway import WorkerGateway

log = structlog.get_logger(__name__)

#: How long an answer to a report of outcomes is waited for, and one to a store, in seconds.
_OUTCOME_TIMEOUT_S = 2.0
_STORE_TIMEOUT_S = 5.0
#: The probe's line in the task pool; no attempt's token has a slash.
_PROBE = "/probe"


class Requests:
    """Requests that wait for the engine's answer: commands of the coordinator, and operators at the micro service."""

    def __init__(self) -> None:
        self._last = 0
        self._commands: dict[int, Msg] = {}
        self._operators: dict[int, asyncio.Future[bytes]] = {}

    def command(self, msg: Msg) -> int | None:
        """Register a command; its request id, or None if it wants no answer."""
        if not msg.reply:
            return None
        self._last += 1
        self._commands[self._last] = msg
        return self._last

    def operator(self) -> tuple[int, asyncio.Future[bytes]]:
        """Register an operator's request; its id and the future answer."""
        self._last += 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._operators[self._last] = future
        return self._last, future

    def take_command(self, request: int) -> Msg | None:
        """Take the message of a command, to answer it once."""
        return self._commands.pop(request, None)

    def answer_operator(self, request: int, answer: bytes | ServiceError) -> None:
        """Answer an operator's request."""
        future = self._operators.pop(request, None)
        if future is None or future.done():
            return
        if isinstance(answer, ServiceError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def forget_operator(self, request: int) -> None:
        """Forget an operator's request: nobody waits for the answer."""
        self._operators.pop(request, None)

    def forget(self, request: int | None) -> None:
        """Forget a command without an answer: it named another incarnation of this agent."""
        if request is not None:
            self._commands.pop(request, None)


class EffectRunner:
    """Runs effects on the bus, the files, the workers and the probe.

    Args:
        bus: the connection.
        subjects: names of the namespace.
        agent_id: who publishes.
        files: the jobs' files.
        workers: the worker processes.
        probe: measures the devices.
        requests: who waits for answers.
        tasks: where the work runs.
        emit: takes events.
        clock: reads the time.
        leave: called when the engine has left.
    """

    def __init__(
        self,
        bus: Bus,
        subjects: Subjects,
        agent_id: str,
        files: JobFiles,
        workers: WorkerGateway,
        probe: Probe,
        requests: Requests,
        tasks: TaskPool,
        emit: Callable[[events.Event], None],
        clock: Callable[[], Now],
        leave: Callable[[effects.Exit], None],
    ) -> None:
        self._bus = bus
        self._subjects = subjects
        self._agent_id = agent_id
        self._files = files
        self._workers = workers
        self._probe = probe
        self._requests = requests
        self._tasks = tasks
        self._emit = emit
        self._clock = clock
        self._leave = leave
        #: The last measurement failed; the first of a row is logged.
        self._probe_failed = False
        #: Adapters whose schema was left out of the last full advert.
        self._without_schema: tuple[str, ...] = ()
        self._outbox: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()

    async def send_all(self) -> None:
        """Send core messages one after the other, in the order in which the engine wanted them. Runs for ever."""
        while True:
            message = await self._outbox.get()
            try:
                await message
            except BusError as error:
                # Adverts come again, commands are asked again: nothing that is lost here is missed.
                log.debug("a message was not sent", error=str(error))
            finally:
                self._outbox.task_done()

    async def flush(self, timeout: float) -> None:
        """Wait at most `timeout` seconds until the queued messages are sent."""
        try:
            await asyncio.wait_for(self._outbox.join(), timeout)
        except asyncio.TimeoutError:
            log.debug("some messages were not sent before the end")

    def discard(self) -> None:
        """Drop the queued messages."""
        while not self._outbox.empty():
            self._outbox.get_nowait().close()

    def run(self, effect: effects.Effect) -> None:
        """Start an effect; returns at once."""
        handler = _HANDLERS[type(effect)]
        handler(self, effect)

    def _in_line(self, token: str, work: Coroutine[Any, Any, None], *, instead: bool = False) -> None:
        """Work for one attempt, after all that was begun for it before. An error that nobody foresaw is that
        attempt's failure, and not the agent's end.
        """

        def on_error(error: BaseException) -> None:
            log.error("unexpected error", agent_id=self._agent_id, token=token, exc_info=error)
            self._emit(events.TaskFailed(token, f"{type(error).__name__}: {error}"))

        self._tasks.in_line(token, work, instead=instead, on_error=on_error)

    # -- messages

    def _publish(self, subject: str, message: Any) -> None:
        self._outbox.put_nowait(self._bus.publish(subject, encode(message)))

    def _advert(self, effect: effects.PublishAdvert) -> None:
        if effect.advert.adapters is not None and effect.without_schema != self._without_schema:
            self._without_schema = effect.without_schema
            if effect.without_schema:
                log.warning(
                    "adverts exceed what the server takes: schemas are left out, this agent alone checks inputs",
                    agent_id=self._agent_id,
                    adapters=effect.without_schema,
                    max_payload=self._bus.max_payload,
                )
        self._publish(self._subjects.advert(self._agent_id), effect.advert)

    def _bids(self, effect: effects.SendBids) -> None:
        self._publish(self._subjects.bids(effect.coordinator_id), effect.answer)

    def _progress(self, effect: effects.PublishProgress) -> None:
        progress = effect.progress
        self._publish(self._subjects.progress(progress.feature, progress.job_id), progress)

    def _reply(self, effect: effects.Reply) -> None:
        body = encode(effect.message)
        msg = self._requests.take_command(effect.request)
        if msg is not None:
            self._outbox.put_nowait(self._bus.respond(msg, body))
        else:
            self._requests.answer_operator(effect.request, body)

    def _refuse(self, effect: effects.RefuseRequest) -> None:
        self._requests.answer_operator(effect.request, ServiceError(effect.code, effect.message))

    def _outcomes(self, effect: effects.SendOutcomes) -> None:
        self._tasks.spawn(self._send_outcomes(effect))

    async def _send_outcomes(self, effect: effects.SendOutcomes) -> None:
        try:
            answer = await self._bus.request(
                self._subjects.outcome(self._agent_id), encode(effect.report), timeout=_OUTCOME_TIMEOUT_S
            )
            noted = decode(OutcomesNoted, answer.data).noted
        except (BusError, WireError) as error:
            log.debug("outcomes were not answered", error=str(error))
            self._emit(events.OutcomesUnanswered())
        else:
            self._emit(events.OutcomesAnswered(tuple(noted)))

    # -- results

    def _store(self, effect: effects.StoreResult) -> None:
        self._in_line(effect.token, self._store_result(effect))

    async def _store_result(self, effect: effects.StoreResult) -> None:
        result = effect.result
        try:
            await self._bus.append(
                self._subjects.result(result.feature, result.job_id),
                encode(result),
                expect=Expect(0, self._subjects.result_of(result.job_id)),
                timeout=_STORE_TIMEOUT_S,
            )
        except Conflict:
            self._emit(events.ResultConflict(effect.token))
        except TooLarge as error:
            self._emit(events.ResultRefused(effect.token, f"the result: {error}; return files instead"))
        except BusError as error:
            log.info("a result is not known to be stored", job_id=result.job_id, token=effect.token, error=str(error))
            self._emit(events.ResultUnknown(effect.token, str(error)))
        else:
            self._emit(events.ResultStored(effect.token))

    def _read(self, effect: effects.ReadResult) -> None:
        self._in_line(effect.token, self._read_result(effect))

    async def _read_result(self, effect: effects.ReadResult) -> None:
        try:
            stored = await self._bus.last(self._subjects.results_stream, self._subjects.result_of(effect.job_id))
        except BusError as error:
            self._emit(events.ResultUnknown(effect.token, str(error)))
            return
        token: str | None = None
        if stored is not None:
            try:
                token = read_result(stored.data, effect.job_id).token or ""
            except WireError as error:
                # No result: the leader deletes it, and then ours is proposed again.
                log.warning("bytes that are no result stand there", subject=stored.subject, error=str(error))
        self._emit(events.ResultRead(effect.token, token))

    # -- files

    def _fetch(self, effect: effects.FetchInputs) -> None:
        fetched = self._files.fetch_now(effect.token, effect.inputs)
        if fetched is not None:
            self._emit(fetched)
            return
        self._in_line(effect.token, self._emit_result(partial(self._files.fetch, effect.token, effect.inputs)))

    def _upload(self, effect: effects.UploadOutputs) -> None:
        call = partial(self._files.upload, effect.token, effect.job_id, effect.files)
        self._in_line(effect.token, self._emit_result(call))

    async def _emit_result(self, call: Callable[[], Coroutine[Any, Any, events.Event]]) -> None:
        # Called here: the task may be cancelled before its first step, and a coroutine made before would stay open.
        self._emit(await call())

    def _drop(self, effect: effects.DropArtifacts) -> None:
        self._in_line(effect.token, self._files.drop(effect.token, effect.job_id, effect.names))

    def _clean_up(self, effect: effects.CleanUp) -> None:
        if self._tasks.in_flight(effect.token):
            self._in_line(effect.token, self._clean_up_after(effect.token), instead=True)
        else:
            self._files.clean_up(effect.token)

    async def _clean_up_after(self, token: str) -> None:
        self._files.clean_up(token)

    # -- workers and devices

    def _start_worker(self, effect: effects.StartWorker) -> None:
        self._tasks.spawn(self._workers.start(effect))

    def _run(self, effect: effects.RunOnWorker) -> None:
        self._workers.run(effect)

    def _cancel(self, effect: effects.CancelOnWorker) -> None:
        self._tasks.spawn(self._workers.cancel(effect))

    def _stop_worker(self, effect: effects.StopWorker) -> None:
        self._tasks.spawn(self._workers.stop(effect))

    def _measure(self, effect: effects.ProbeNow) -> None:
        self._tasks.in_line(_PROBE, self._read_probe(), on_error=self._on_probe_error)

    async def _read_probe(self) -> None:
        taken_at = self._clock().mono
        readings = await asyncio.to_thread(self._probe.read)
        if self._probe_failed:
            self._probe_failed = False
            log.info("the devices are measured again", agent_id=self._agent_id)
        self._emit(events.ProbeRead(readings, taken_at))

    def _on_probe_error(self, error: BaseException) -> None:
        if not self._probe_failed:
            self._probe_failed = True
            log.error(
                "the devices could not be measured; what was measured last counts until it is too old",
                agent_id=self._agent_id,
                exc_info=error,
            )
        self._emit(events.ProbeFailed(f"{type(error).__name__}: {error}"))

    def _exit(self, effect: effects.Exit) -> None:
        self._leave(effect)


_HANDLERS: dict[type[Any], Callable[[EffectRunner, Any], None]] = {
    effects.PublishAdvert: EffectRunner._advert,
    effects.Reply: EffectRunner._reply,
    effects.RefuseRequest: EffectRunner._refuse,
    effects.SendBids: EffectRunner._bids,
    effects.SendOutcomes: EffectRunner._outcomes,
    effects.PublishProgress: EffectRunner._progress,
    effects.FetchInputs: EffectRunner._fetch,
    effects.StartWorker: EffectRunner._start_worker,
    effects.RunOnWorker: EffectRunner._run,
    effects.CancelOnWorker: EffectRunner._cancel,
    effects.StopWorker: EffectRunner._stop_worker,
    effects.UploadOutputs: EffectRunner._upload,
    effects.StoreResult: EffectRunner._store,
    effects.ReadResult: EffectRunner._read,
    effects.DropArtifacts: EffectRunner._drop,
    effects.CleanUp: EffectRunner._clean_up,
    effects.ProbeNow: EffectRunner._measure,
    effects.Exit: EffectRunner._exit,
}
