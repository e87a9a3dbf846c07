"""The state that all parts of the engine share, and the operations on it that all of them need."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import AnyOutcome, Award, AwardAnswer
from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.contracts.parameters import CheckCache
from pocket3d.contracts.worker_frames import AdapterDescription

from ..devices.health import DeviceHealth
from ..devices.spec import DeviceSpec
from ..placement.estimates import Estimates
from ..placement.ledger import DeviceLedger
from ..settings import AgentSettings
from .effects import Effect
from .lifecycle import RunState, Step, WorkerState
from .message_limits import DEFAULT_MAX_PAYLOAD
from .records import DeviceRecord, Run, StorageState, Worker


class Identity(NamedTuple):
    """The names by which others know this agent and this life of it."""

    agent_id: str
    #: `<unix milliseconds>-<random>`, new at each start.
    incarnation: str
    host: str
    pid: int
    version: str


@dataclass
class ConcurrencyLimit:
    """Bounds how many effects of one kind are in flight; the others wait for their turn."""

    limit: int
    in_flight: set[str] = field(default_factory=set)
    #: Token -> its turn: the least is next, of equals the first that came.
    waiting: dict[str, float] = field(default_factory=dict)

    def enqueue(self, token: str, turn: float) -> None:
        """Queue a token, unless it is queued or in flight."""
        if token not in self.in_flight:
            self.waiting.setdefault(token, turn)

    def next(self) -> str | None:
        """Take the next token from the queue, in flight from then on; None if none waits or the limit is reached."""
        if not self.waiting or len(self.in_flight) >= self.limit:
            return None
        token = min(self.waiting, key=self.waiting.__getitem__)
        del self.waiting[token]
        self.in_flight.add(token)
        return token

    def leave(self, token: str) -> None:
        """Forget a token: its effect was answered, or is not needed any more."""
        self.in_flight.discard(token)
        self.waiting.pop(token, None)


class Core:
    """The whole state of the engine.

    Args:
        settings: what can be set.
        identity: who this agent is.
        devices: the devices it owns.
    """

    def __init__(self, settings: AgentSettings, identity: Identity, devices: Sequence[DeviceSpec]) -> None:
        self.settings = settings
        self.identity = identity
        self.devices: dict[str, DeviceRecord] = {
            device.id: DeviceRecord(
                device,
                DeviceLedger(device, settings.reading_s, settings.release_wait_s),
                DeviceHealth(
                    device.id,
                    after=settings.quarantine_after,
                    first_s=settings.quarantine_s,
                    cap_s=settings.quarantine_cap_s,
                ),
            )
            for device in devices
        }
        self.adapters: dict[str, AdapterDescription] = {}
        self.checks = CheckCache()
        #: Feature -> adapter ids, best first.
        self.preferred: dict[str, list[str]] = {}
        self.estimates = Estimates(settings.history, settings.lower_after_runs)
        self.workers: dict[str, Worker] = {}
        self.runs: dict[str, Run] = {}
        #: Those whose extra memory is being freed by evictions.
        self.waiting_for_room: dict[str, Run] = {}
        #: What `handle` returns.
        self.effects: list[Effect] = []
        #: Steps that runs made while the last event was handled.
        self.moves: list[tuple[Run, Step]] = []
        self.seq = 0
        #: Numbers of this incarnation's workers.
        self.worker_numbers = itertools.count(1)

        #: Highest epoch seen in any command.
        self.fence = 0
        #: Token -> what was answered to its award: a repeated award gets the same.
        self.answers: OrderedDict[str, AwardAnswer] = OrderedDict()

        self.connected = False
        #: Largest message that the server takes, bytes.
        self.max_payload = DEFAULT_MAX_PAYLOAD
        #: `<token>/<type>` -> outcome not yet answered, in the order they happened.
        self.outcomes: dict[str, AnyOutcome] = {}
        #: Names of those in the report that waits for its answer.
        self.outcomes_in_flight: tuple[str, ...] = ()
        #: When an outcome that was not taken is told again.
        self.outcomes_due: dict[str, float] = {}
        #: No outcome is due sooner.
        self.outcomes_earliest = float("-inf")

        self.fetches = ConcurrencyLimit(settings.max_fetches)
        self.uploads = ConcurrencyLimit(settings.max_uploads)
        self.stores = ConcurrencyLimit(settings.max_stores)
        self.storage = StorageState()
        #: How many finished runs wait for their files to be stored, and how many for their results.
        self.unstored: dict[RunState | WorkerState | None, int] = {RunState.UPLOADING: 0, RunState.STORING: 0}
        #: Runs that the last advert did not list, for its size.
        self.unlisted = 0

        #: Something changed that the coordinator should hear of before the next period.
        self.changed = True
        self.adapters_changed = True
        self.advert_at = float("-inf")
        self.adapters_at = float("-inf")

        #: There is something for the probe to measure.
        self.measured = not all(device.simulated for device in devices)
        self.probing = False
        self.probed_at = float("-inf")
        self.last_tick: float | None = None

        self.draining = False
        self.leaving = False
        #: It leaves, and nothing runs on its devices any more.
        self.only_stores = False
        self.exited = False
        self.drain_deadline: float | None = None
        self.leave_deadline: float | None = None

    def sender(self) -> dict[str, Any]:
        """The fields by which a new message names this agent, its incarnation, and its place among their messages."""
        self.seq += 1
        return {"agent_id": self.identity.agent_id, "incarnation": self.identity.incarnation, "seq": self.seq}

    def turn(self, award: Award, now: Now) -> float:
        """The place of a run that waits from now on: lower priorities stand as if they had come later."""
        return now.mono + PRIORITIES.index(award.priority) * self.settings.priority_ahead_s

    def remember(self, answer: AwardAnswer) -> None:
        """Keep the answer to an award, so that a repeated award gets the same."""
        self.answers[answer.token] = answer
        while len(self.answers) > self.settings.answers_kept:
            self.answers.popitem(last=False)

    def device_of(self, worker: Worker) -> DeviceRecord:
        """The record of the device that a worker runs on."""
        return self.devices[worker.device]
