"""The engine of chains and groups: one synchronous step from an event to effects.

It holds what has not ended. A step's job is published when the steps whose files it takes have succeeded, so a step
that will never run leaves no job behind. Nothing says that a job was published: whoever leads next publishes it again
under the same id, which changes nothing, and reads the results that are there. So each event of the stream says only
what cannot be found out anew: the request, a wish to end it, a retry, and the end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.failures import FailureCode

from . import events
from .effects import Answer, CancelJob, ChainEffect, ReadChain, StartStep, StoreEvent
from .record import ChainKey, ChainRecord, Failure, StepRecord, StepState
from .story import status_of

#: Before what failed is tried again, and between two wishes to end a job, seconds.
PAUSE_S = 1.0
#: How often jobs are looked for of which the engine of jobs knows nothing, seconds.
LOOK_S = 30.0


class ChainEngine:
    """Of one leadership.

    Args:
        most_steps: unfinished steps that are held; further chains are refused.
        is_known: true for a published job that is known to be on its way; others are looked for now and then: somebody
            may have removed its message before anybody had read it.
        leads: true while this coordinator certainly leads. What is to be done waits for it: after a pause somebody else
            may have cancelled a chain, or begun its next step.
    """

    def __init__(
        self,
        most_steps: int = 200_000,
        is_known: Callable[[str], bool] = lambda job_id: True,
        leads: Callable[[Now], bool] = lambda now: True,
    ) -> None:
        self._most_steps = most_steps
        self._is_known = is_known
        self._leads = leads
        self._look_at = 0.0
        self.chains: dict[ChainKey, ChainRecord] = {}
        #: Which steps a job is: of a chain, and of any group that names it.
        self._steps: dict[str, list[tuple[ChainRecord, StepRecord]]] = {}
        self._held = 0
        #: When an effect is repeated, monotonic seconds; in that order.
        self._repeats: deque[tuple[float, ChainEffect]] = deque()
        #: When the jobs of a cancelled one are asked to end again, monotonic seconds.
        self._cancels: dict[ChainKey, float] = {}
        self._out: list[ChainEffect] = []

    # -- questions

    def follows(self, job_id: str) -> bool:
        """True for the job of a step that has not ended."""
        return job_id in self._steps

    def chain_of(self, job_id: str) -> ChainRecord | None:
        """What a step belongs to that has not ended and has this job."""
        return next((chain for chain, _ in self._steps.get(job_id, ())), None)

    def full(self, steps: int) -> str | None:
        """Why no further one of so many steps is taken; None if it is."""
        if self._held + steps <= self._most_steps:
            return None
        return f"{self._held} steps of chains and groups have not ended, at most {self._most_steps} are held"

    # -- one step

    def handle(self, event: events.ChainEvent, now: Now) -> list[ChainEffect]:
        """Take in one event; what is to be done, in order: nothing while another may lead, and all of it afterwards.

        Raises:
            InvalidTransition: a step was about to make a move that its table lacks.
        """
        _HANDLERS[type(event)](self, event, now)
        if not self._leads(now):
            return []
        out, self._out = self._out, []
        return out

    def _found(self, event: events.ChainFound, now: Now) -> None:
        known, found = self._forget(event.key), event.record
        if found is None:
            self._answer(known.asks if known is not None else [])
            return
        if known is not None:
            found.asks = known.asks
            if known.cancel_reason is not None and found.cancel_reason is None:
                found.cancel_reason, found.wanted = known.cancel_reason, "cancelling"
        self._hold(found)
        self._go_on(found, now)

    def _hold(self, chain: ChainRecord) -> None:
        self.chains[chain.key] = chain
        self._held += len(chain.steps)
        for step in chain.steps:
            if not step.ended:
                self._steps.setdefault(step.job_id, []).append((chain, step))

    def _forget(self, key: ChainKey) -> ChainRecord | None:
        chain = self.chains.pop(key, None)
        self._cancels.pop(key, None)
        if chain is not None:
            self._held -= len(chain.steps)
            for step in chain.steps:
                self._let_go(chain, step)
        return chain

    def _let_go(self, chain: ChainRecord, step: StepRecord) -> None:
        left = [each for each in self._steps.pop(step.job_id, ()) if each[0] is not chain]
        if left:
            self._steps[step.job_id] = left

    def _go_on(self, chain: ChainRecord, now: Now) -> None:
        """Start and end what can be, then store what has changed."""
        if not chain.held:
            self._settle_waiting(chain)
        if chain.cancel_reason is not None and self._cancels.get(chain.key, now.mono) <= now.mono:
            self._cancel_jobs(chain, now)
        self._store(chain, now)

    def _settle_waiting(self, chain: ChainRecord) -> None:
        waiting = [step for step in chain.steps if step.state is StepState.WAITING]
        changed = True
        # Steps may stand in any order: what one becomes may decide another before it.
        while changed:
            changed = False
            for step in waiting:
                changed = (step.state is StepState.WAITING and self._settle(chain, step)) or changed

    def _settle(self, chain: ChainRecord, step: StepRecord) -> bool:
        """Start or cancel a step that waits, if it is time; true if it has ended by that.

        A job that a former leader may have published is published here too, and cancelled then: nobody could say that
        it is not there.
        """
        sources = chain.sources(step)
        lost = next((s for s in sources if s.state in (StepState.FAILED, StepState.CANCELLED)), None)
        if lost is not None:
            why = f"the step {lost.plan.name}, whose file it takes, {_ended_as(lost)}"
        elif chain.cancel_reason is not None and not chain.restored:
            why = chain.cancel_reason
        elif all(source.state is StepState.SUCCEEDED for source in sources):
            step.move(StepState.STARTING)
            self._out.append(_start(chain, step))
            return False
        else:
            return False
        # The event that tells of the failure, or of the wish to cancel, tells of this too.
        code = FailureCode.CANCELLED.value
        step.move(StepState.CANCELLED, Failure(code, why))
        self._let_go(chain, step)
        return True

    def _want_step(self, chain: ChainRecord) -> None:
        # Of a group each step would be a message of all its jobs.
        if chain.key.kind == "chain" and chain.wanted is None:
            chain.wanted = "step"

    def _cancel_jobs(self, chain: ChainRecord, now: Now) -> None:
        self._cancels[chain.key] = now.mono + PAUSE_S
        assert chain.cancel_reason is not None
        for step in chain.steps:
            if step.state is StepState.STARTED:
                self._out.append(CancelJob(step.job_id, chain.cancel_reason))

    def _store(self, chain: ChainRecord, now: Now) -> None:
        if chain.ended:
            chain.wanted = chain.outcome
        if chain.wanted is None or chain.storing:
            return
        chain.storing = True
        event, chain.wanted = chain.wanted, None
        self._out.append(StoreEvent(chain.key, event, status_of(chain, rfc3339(now.wall)), chain.last_seq))

    def _answer(self, asks: list[int]) -> None:
        self._out += map(Answer, asks)

    # -- what becomes of steps

    def _job_ended(self, event: events.JobEnded, now: Now) -> None:
        for chain, step in list(self._steps.get(event.job_id, ())):
            if step.state is StepState.WAITING:
                # It is not published yet: an id that another used before. Its start will find the result.
                continue
            step.move(event.state, event.failure)
            self._let_go(chain, step)
            self._want_step(chain)
            self._go_on(chain, now)

    def _find(self, key: ChainKey, job_id: str) -> tuple[ChainRecord, StepRecord] | None:
        """A step that is being started."""
        for chain, step in self._steps.get(job_id, ()):
            if chain.key == key and step.state is StepState.STARTING:
                return chain, step
        return None

    def _started(self, event: events.StepStarted, now: Now) -> None:
        found = self._find(event.key, event.job_id)
        if found is None:
            return
        chain, step = found
        step.move(StepState.STARTED)
        if chain.cancel_reason is not None:
            self._out.append(CancelJob(step.job_id, chain.cancel_reason))

    def _refused(self, event: events.StepRefused, now: Now) -> None:
        found = self._find(event.key, event.job_id)
        if found is None:
            return
        chain, step = found
        step.move(StepState.FAILED, event.failure)
        self._let_go(chain, step)
        self._want_step(chain)
        self._go_on(chain, now)

    def _unstarted(self, event: events.StepUnstarted, now: Now) -> None:
        found = self._find(event.key, event.job_id)
        if found is None:
            return
        self._repeats.append((now.mono + PAUSE_S, _start(*found)))

    # -- what becomes of events

    def _stored(self, event: events.EventStored, now: Now) -> None:
        chain = self.chains.get(event.key)
        if chain is None:
            return
        chain.storing, chain.held, chain.last_seq = False, False, event.seq
        if chain.wanted is None:
            asks, chain.asks = chain.asks, []
            self._answer(asks)
            if chain.ended:
                self._forget(chain.key)
                return
        self._go_on(chain, now)

    def _in_doubt(self, event: events.EventInDoubt, now: Now) -> None:
        self._out.append(ReadChain(event.key))

    def _unread(self, event: events.ChainUnread, now: Now) -> None:
        if event.key in self.chains:
            self._repeats.append((now.mono + PAUSE_S, ReadChain(event.key)))

    # -- what people ask for

    def _cancel_asked(self, event: events.CancelAsked, now: Now) -> None:
        chain = self.chains.get(event.key)
        if chain is None or not (chain.storing or self._may_cancel(chain)):
            self._answer([event.ask])
            return
        chain.asks.append(event.ask)
        if self._may_cancel(chain):
            chain.cancel_reason, chain.wanted = event.reason, "cancelling"
            self._go_on(chain, now)

    @staticmethod
    def _may_cancel(chain: ChainRecord) -> bool:
        return chain.cancel_reason is None and not chain.ended

    def _retry_asked(self, event: events.RetryAsked, now: Now) -> None:
        chain = event.record
        if chain.key in self.chains:
            self._answer([event.ask])
            return
        chain.retry()
        chain.asks, chain.held, chain.wanted = [event.ask], True, "retried"
        self._hold(chain)
        self._store(chain, now)

    def _tick(self, event: events.Tick, now: Now) -> None:
        while self._repeats and self._repeats[0][0] <= now.mono:
            effect = self._repeats.popleft()[1]
            if not isinstance(effect, StartStep) or self._find(effect.key, effect.job_id) is not None:
                self._out.append(effect)
        for key in [key for key, at in self._cancels.items() if at <= now.mono]:
            self._cancel_jobs(self.chains[key], now)
        if now.mono >= self._look_at:
            self._look_at = now.mono + LOOK_S
            lost = [
                _start(chain, step)
                for job_id, steps in self._steps.items()
                for chain, step in steps
                if step.state is StepState.STARTED and not self._is_known(job_id)
            ]
            self._out += lost


def _start(chain: ChainRecord, step: StepRecord) -> StartStep:
    named = {source.plan.name: source.job_id for source in chain.sources(step)}
    return StartStep(chain.key, chain.seq, step.plan.place, step.job_id, named)


def _ended_as(step: StepRecord) -> str:
    code = f" ({step.failure.code})" if step.failure is not None and step.state is StepState.FAILED else ""
    return f"{'failed' if step.state is StepState.FAILED else 'was cancelled'}{code}"


_HANDLERS: dict[type, Callable[[ChainEngine, Any, Now], None]] = {
    events.ChainFound: ChainEngine._found,
    events.JobEnded: ChainEngine._job_ended,
    events.StepStarted: ChainEngine._started,
    events.StepRefused: ChainEngine._refused,
    events.StepUnstarted: ChainEngine._unstarted,
    events.EventStored: ChainEngine._stored,
    events.EventInDoubt: ChainEngine._in_doubt,
    events.ChainUnread: ChainEngine._unread,
    events.CancelAsked: ChainEngine._cancel_asked,
    events.RetryAsked: ChainEngine._retry_asked,
    events.Tick: ChainEngine._tick,
}
