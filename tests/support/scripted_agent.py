"""An agent for tests of the coordinator's service: says over a bus what `AgentDouble` would say, and stores results."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pocket3d.bus.port import Bus, BusError, Closable, Expect, Msg
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import decode, encode
from pocket3d.contracts.commands import (
    AnyCommand,
    AttemptFailed,
    AttemptStarted,
    Award,
    AwardAnswer,
    AwardJobs,
    AwardsAnswered,
    BidPlaced,
    CallAnswered,
    CallForBids,
    CancelAttempts,
    OutcomesReported,
    ReportState,
    StateReported,
)
from pocket3d.contracts.messages import Result, RunningJob
from pocket3d.contracts.subjects import Subjects

from .coordinator_desk import AgentDouble


class ScriptedAgent:
    """Bids on everything, takes every award, and runs it until `finish`.

    Args:
        bus: a connection of its own.
        double: what it has.
        slots: jobs that it offers to take of each lot.
        run: called with each award; by default the job goes on until `finish`.
    """

    def __init__(
        self, bus: Bus, double: AgentDouble, *, slots: int = 64, run: Callable[[Award], Any] | None = None
    ) -> None:
        self.bus = bus
        self.double = double
        self.subjects = Subjects()
        self.slots = slots
        self._run = run
        self.awards: list[Award] = []
        self.award_messages: list[int] = []
        self.cancelled: list[str] = []
        self.calls: list[CallForBids] = []
        self._open: list[Closable] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._open.append(await self.bus.subscribe(self.subjects.command(self.double.agent_id), self._on_command))
        self._task = asyncio.ensure_future(self._advertise())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for each in self._open:
            await each.close()

    async def advertise(self) -> None:
        await self.bus.publish(self.subjects.advert(self.double.agent_id), encode(self.double.advert()))

    async def _advertise(self) -> None:
        while True:
            try:
                await self.advertise()
            except BusError as error:
                print(f"no advert: {error}")
            await asyncio.sleep(0.5)

    async def _on_command(self, msg: Msg) -> None:
        command: Any = decode(AnyCommand, msg.data)  # type: ignore[arg-type]
        if isinstance(command, CallForBids):
            self.calls.append(command)
            await self._bid(command)
        elif isinstance(command, AwardJobs):
            await self._take(command, msg)
        elif isinstance(command, CancelAttempts):
            self.cancelled += [cancel.token for cancel in command.cancels]
            tokens = {cancel.token for cancel in command.cancels}
            self.double.running = [r for r in self.double.running if r.token not in tokens]
        elif isinstance(command, ReportState):
            state = StateReported(
                agent_id=self.double.agent_id,
                incarnation=self.double.incarnation,
                seq=self.double.count(),
                advert=self.double.advert(),
            )
            await self.bus.respond(msg, encode(state))

    async def _bid(self, call: CallForBids) -> None:
        adapters = {adapter.feature: adapter for adapter in self.double.adapters or []}
        bids = [
            BidPlaced(
                lot=lot.lot,
                adapter_id=adapters[lot.feature].adapter_id,
                device=self.double.devices[0].id,
                claim_mb=1,
                slots=self.slots,
                est_queue_s=0.0,
                est_load_s=0.0,
                est_run_s=1.0,
            )
            for lot in call.lots
        ]
        answer = CallAnswered(
            agent_id=self.double.agent_id,
            incarnation=self.double.incarnation,
            seq=self.double.count(),
            call_id=call.call_id,
            bids=bids,
            declines=[],
            devices=list(self.double.devices),
        )
        await self.bus.publish(self.subjects.bids(call.coordinator_id), encode(answer))

    async def _take(self, command: AwardJobs, msg: Msg) -> None:
        self.award_messages.append(len(msg.data))
        answers = []
        for award in command.awards:
            self.awards.append(award)
            answers.append(AwardAnswer(job_id=award.job_id, token=award.token, accepted=True, started=True))
            self.double.running.append(
                RunningJob(
                    job_id=award.job_id,
                    attempt=award.attempt,
                    token=award.token,
                    adapter_id=award.adapter_id,
                    device=award.device,
                )
            )
        reply = AwardsAnswered(
            agent_id=self.double.agent_id,
            incarnation=self.double.incarnation,
            seq=self.double.count(),
            answers=answers,
        )
        await self.bus.respond(msg, encode(reply))
        if self._run is not None:
            for award in command.awards:
                await self._run(award)

    def award_of(self, job_id: str) -> Award | None:
        return next((award for award in reversed(self.awards) if award.job_id == job_id), None)

    async def finish(self, award: Award) -> int:
        """Store the success of an attempt, as an agent does."""
        result = Result(
            job_id=award.job_id,
            feature=award.feature,
            status="succeeded",
            attempt=award.attempt,
            token=award.token,
            agent_id=self.double.agent_id,
            device=award.device,
            adapter_id=award.adapter_id,
        )
        self.double.running = [r for r in self.double.running if r.token != award.token]
        return await self.bus.append(
            self.subjects.proposal(award.feature, award.job_id),
            encode(result),
            expect=Expect(0, self.subjects.result_of(award.job_id)),
        )

    async def report(self, *outcomes: Any) -> Msg:
        report = OutcomesReported(
            agent_id=self.double.agent_id,
            incarnation=self.double.incarnation,
            seq=self.double.count(),
            outcomes=list(outcomes),
        )
        return await self.bus.request(self.subjects.outcome(self.double.agent_id), encode(report), timeout=5)

    def failed(self, award: Award, code: str, message: str) -> AttemptFailed:
        return AttemptFailed(
            job_id=award.job_id,
            token=award.token,
            attempt=award.attempt,
            device=award.device,
            adapter_id=award.adapter_id,
            at=rfc3339(0.0),
            code=code,
            message=message,
        )

    def started(self, award: Award) -> AttemptStarted:
        return AttemptStarted(
            job_id=award.job_id,
            token=award.token,
            attempt=award.attempt,
            device=award.device,
            adapter_id=award.adapter_id,
            at=rfc3339(0.0),
        )
