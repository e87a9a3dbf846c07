"""The model of the JetStream server: streams with compare-and-set, a work queue, buckets. It never forgets."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pocket3d.bus.port import Conflict
from pocket3d.contracts.commands import AgentRecord, LeaderRecord
from pocket3d.contracts.lifecycle import Priority
from pocket3d.contracts.messages import Result, Status

from .clock import VirtualClock
from .network import Network
from .process import Process

#: A pull of a consumer that nobody listens to any more stays open at the server for so long, seconds.
_PULL_EXPIRES_S = 30.0
#: As the topology sets them: the first is longer than any run here.
_JOBS_ACK_WAIT_S = 3600.0
_RESULTS_ACK_WAIT_S = 60.0


class StoredJob(NamedTuple):
    """A message of the jobs stream."""

    seq: int
    priority: Priority
    feature: str
    data: bytes
    job_id: str
    time: float


class StoredEvent(NamedTuple):
    """A message of the events stream."""

    seq: int
    job_id: str
    event: str
    status: Status
    job_seq: int
    batch: str


class StoredResult(NamedTuple):
    """A message of the results stream."""

    seq: int
    result: Result


class NewEvent(NamedTuple):
    """One message of a batch."""

    job_id: str
    event: str
    status: Status
    job_seq: int


class Pull:
    """One process reads a durable consumer; it asks for messages while `allowed`."""

    def __init__(self, process: Process, handler: Callable[[Any], None], allowed: Callable[[], bool]) -> None:
        self.process = process
        self.life = process.life
        self.handler = handler
        self.allowed = allowed
        self.closed = False
        #: Until when the server holds its latest request.
        self.open_until = 0.0


class Consumer:
    """A durable pull consumer: what is not acked comes again after the ack wait, or after a reset.

    Args:
        messages: the stream's messages by sequence, oldest first.
        ack_wait_s: as in the topology.
    """

    def __init__(
        self, network: Network, rng: random.Random, messages: Callable[[], dict[int, Any]], ack_wait_s: float
    ) -> None:
        self._network = network
        self._rng = rng
        self._messages = messages
        self._ack_wait_s = ack_wait_s
        #: Sequence -> when it was handed out.
        self._delivered: dict[int, float] = {}
        #: For scenarios: deliveries take so much longer.
        self.slow_s = 0.0
        self.acked: set[int] = set()
        self._pulls: list[Pull] = []

    def unacked(self) -> list[int]:
        """Sequences not acked, delivered or not."""
        return [seq for seq in self._messages() if seq not in self.acked]

    def backlog(self) -> int:
        """How many are not acked."""
        return len(self.unacked())

    def reset(self) -> None:
        """Deliver every un-acked message again."""
        self._delivered.clear()
        self.deliver()

    def take_over(self) -> None:
        """As reset, and the pulls of all others end: who is awake asks again."""
        for pull in self._pulls:
            pull.open_until = 0.0
        self.reset()

    def consume(self, process: Process, handler: Callable[[Any], None], allowed: Callable[[], bool]) -> Pull:
        """Pull from now on."""
        pull = Pull(process, handler, allowed)
        self._pulls.append(pull)
        self.deliver()
        return pull

    def give_back(self, seq: int) -> None:
        """A negative ack: it is delivered again."""
        self._delivered.pop(seq, None)
        self.deliver()

    def deliver(self) -> None:
        """Hand what is due to whoever pulls; of several, to any."""
        if not self._network.server_up:
            return
        now = self._network.clock.now
        open_pulls = []
        for pull in list(self._pulls):
            process = pull.process
            if pull.closed or not process.alive or process.life != pull.life:
                self._pulls.remove(pull)
                continue
            if process.reachable and process.connected and not process.paused and pull.allowed():
                pull.open_until = now + _PULL_EXPIRES_S
            # A process that stands still, or whose link is dead, has a pull open all the same.
            if now < pull.open_until and process.connected:
                open_pulls.append(pull)
        if not open_pulls:
            return
        for seq, message in self._messages().items():
            if seq not in self.acked and now >= self._delivered.get(seq, -self._ack_wait_s) + self._ack_wait_s:
                self._delivered[seq] = now
                self._hand_over(self._rng.choice(open_pulls), seq, message)

    def _hand_over(self, pull: Pull, seq: int, message: Any) -> None:
        def arrive() -> None:
            if pull.closed:
                # It had been pulled and was not handled: given back at once.
                self._network.clock.later(0.001, lambda: self.give_back(seq))
                return
            pull.handler(message)

        if self.slow_s:
            self._network.clock.later(self.slow_s, lambda: self._network.deliver(pull.process, pull.life, arrive))
        else:
            self._network.deliver(pull.process, pull.life, arrive)


class Server:
    """Streams and buckets.

    Args:
        clock: virtual time.
        network: what carries its messages.
        rng: chance.
    """

    def __init__(self, clock: VirtualClock, network: Network, rng: random.Random) -> None:
        self.clock = clock
        self.jobs: dict[int, StoredJob] = {}
        self._jobs_seq = 0
        self.events: list[StoredEvent] = []
        self._last_event: dict[str, StoredEvent] = {}
        self._last_on_subject: dict[tuple[str, str], StoredEvent] = {}
        self._events_seq = 0
        self.leader_record: tuple[LeaderRecord, int] | None = None
        self.results: dict[int, StoredResult] = {}
        self.results_of: dict[str, list[StoredResult]] = {}
        self.dead: set[str] = set()
        self.lease: LeaderRecord | None = None
        self.lease_revision = 0
        self.agents: dict[str, AgentRecord] = {}
        #: Object names in the outputs bucket.
        self.objects: set[str] = set()
        self.jobs_consumers: dict[Priority, Consumer] = {
            "high": Consumer(network, rng, lambda: self._jobs_of("high"), _JOBS_ACK_WAIT_S),
            "normal": Consumer(network, rng, lambda: self._jobs_of("normal"), _JOBS_ACK_WAIT_S),
            "low": Consumer(network, rng, lambda: self._jobs_of("low"), _JOBS_ACK_WAIT_S),
        }
        self.results_consumer = Consumer(network, rng, lambda: self.results, _RESULTS_ACK_WAIT_S)
        #: Called after each stored result and event, for the oracle.
        self.on_result: Callable[[StoredResult], None] = lambda stored: None

    def _jobs_of(self, priority: Priority) -> dict[int, StoredJob]:
        return {seq: job for seq, job in self.jobs.items() if job.priority == priority}

    # -- jobs

    def publish_job(self, priority: Priority, feature: str, data: bytes, job_id: str, wall: float) -> int:
        """Store a job; its sequence."""
        self._jobs_seq += 1
        self.jobs[self._jobs_seq] = StoredJob(self._jobs_seq, priority, feature, data, job_id, wall)
        self.jobs_consumers[priority].deliver()
        return self._jobs_seq

    def ack_job(self, seq: int) -> None:
        """A work queue removes what is acked; of one already gone: nothing."""
        self.jobs.pop(seq, None)

    # -- events

    def publish_queued(self, event: NewEvent, expect_last: int | None) -> int:
        """Store the first event of a job, if none of its id is there; `None` expects nothing."""
        if expect_last is not None and (event.job_id in self._last_event) != (expect_last != 0):
            raise Conflict("the id is known")
        return self._store(event, "")

    def publish_events(self, events: Sequence[NewEvent], fence: int, batch: str) -> int:
        """Store all or none, if the leader record still has that sequence."""
        if self.leader_record is None or self.leader_record[1] != fence:
            raise Conflict("another leader's record stands")
        return max(self._store(event, batch) for event in events)

    def _store(self, event: NewEvent, batch: str) -> int:
        self._events_seq += 1
        stored = StoredEvent(self._events_seq, event.job_id, event.event, event.status, event.job_seq, batch)
        self.events.append(stored)
        self._last_event[event.job_id] = stored
        self._last_on_subject[event.job_id, event.event] = stored
        return self._events_seq

    def last_event(self, job_id: str) -> StoredEvent | None:
        """The newest event of a job."""
        return self._last_event.get(job_id)

    def last_on_subject(self, job_id: str, event: str) -> StoredEvent | None:
        """The newest event of that kind of a job."""
        return self._last_on_subject.get((job_id, event))

    def write_leader_record(self, record: LeaderRecord, last: int) -> int:
        """The fence: compare-and-set in the events stream."""
        standing = self.leader_record[1] if self.leader_record is not None else 0
        if standing != last:
            raise Conflict("another leader's record stands")
        self._events_seq += 1
        self.leader_record = (record, self._events_seq)
        return self._events_seq

    # -- results

    def publish_result(self, result: Result, expect_last: int | None) -> int:
        """Store a result, expecting the job's last result at `expect_last` (0: none; None expects nothing)."""
        standing = self.results_of.get(result.job_id, [])
        if expect_last is not None and (standing[-1].seq if standing else 0) != expect_last:
            raise Conflict("the job has a result")
        stored = StoredResult(len(self.results) + 1, result)
        self.results[stored.seq] = stored
        self.results_of.setdefault(result.job_id, []).append(stored)
        self.on_result(stored)
        self.results_consumer.deliver()
        return stored.seq

    def last_result(self, job_id: str) -> Result | None:
        """The newest result of a job."""
        found = self.results_of.get(job_id)
        return found[-1].result if found else None

    # -- the lease

    def write_lease(self, record: LeaderRecord, last: int) -> int:
        """Compare-and-set of the leader bucket."""
        if last != self.lease_revision:
            raise Conflict("another revision stands")
        self.lease_revision += 1
        self.lease = record
        return self.lease_revision

    def redeliver(self) -> None:
        """After a restart pulls are open again."""
        for consumer in (*self.jobs_consumers.values(), self.results_consumer):
            consumer.deliver()

    def body(self, seq: int) -> bytes | None:
        """A request as published."""
        stored = self.jobs.get(seq)
        return stored.data if stored is not None else None
