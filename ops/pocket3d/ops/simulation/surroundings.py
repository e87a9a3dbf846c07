"""What the processes of a run have around them: time, chance, network and server, and what is told of the run."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import sys
import traceback
from collections import Counter, deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import structlog

from pocket3d.bus.port import Msg, Stored
from pocket3d.contracts.codec import decode
from pocket3d.contracts.commands import AttemptFailed, OutcomesReported
from pocket3d.contracts.jobs import admit
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.chains.record import ChainKey

from .loop import VirtualLoop, current_name
from .network import Network
from .pulls import Pulls
from .shapes import RunShape
from .workload import adapters_of, make_workload
from .workload_chains import make_chains

#: Lines of a run's story that are kept.
_STORY = 4000


class Note(NamedTuple):
    """One line of a run's story."""

    at: float
    text: str


class Listener:
    """A core subscriber to all results that never loses its connection: it hears what the server hands out."""

    queue = ""
    listening = True

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.heard: list[tuple[str, bytes]] = []

    def deliver(self, msg: Msg) -> None:
        """Take a message."""
        self.heard.append((msg.subject, msg.data))


class Surroundings:
    """Everything of one run but its processes. All chance comes from `seed`."""

    def __init__(self, loop: VirtualLoop, seed: int, shape: RunShape) -> None:
        self.loop = loop
        self.shape = shape
        self.rng = random.Random(seed)
        self.network = Network(loop, self.rng, shape.faults)
        self.network.witness = self._witness
        self.server = self.network.server
        self.pulls = Pulls(self.network)
        self.subjects = Subjects()
        self.listener = Listener(self.subjects.all_results())
        self.server.listen(self.listener)
        #: What went wrong so far, in words.
        self.wrong: list[str] = []
        self.story: deque[Note] = deque(maxlen=_STORY)
        #: Runs of each job on any worker.
        self.attempts: dict[str, int] = {}
        #: The files that the latest run of each job was given, by their keys.
        self.inputs: dict[str, dict[str, bytes]] = {}
        #: (fault, state of a job that it struck) -> how often.
        self.struck: Counter[tuple[str, str]] = Counter()
        #: Fault -> how often it happened.
        self.faults: Counter[str] = Counter()
        #: Id under which each stored message's job is known: the oracle asks for one result of each.
        self.accepted: set[str] = set()
        #: Ids of jobs of which somebody removed a message from the jobs stream, as in `accepted`.
        self.removed: set[str] = set()
        #: Devices that fell sick, and when.
        self.sick: dict[str, float] = {}
        #: Failures that agents ever reported: (job, attempt, agent, code).
        self.said: set[tuple[str, int, str, str]] = set()
        self.pids = itertools.count(1000)
        self.workload = make_workload(
            self.rng,
            shape.jobs,
            shape.publish_over_s,
            plain=shape.plain,
            variants=shape.variants,
            references=random.Random(f"references of {seed}") if shape.references else None,
        )
        chance = random.Random(f"chains {seed}")
        self.chains = make_chains(chance, shape.chains, shape.publish_over_s)
        #: Of these the ids that the coordinator took.
        self.accepted_chains: set[ChainKey] = set()
        #: The models of the fleet, by id.
        self.adapters = adapters_of(shape.variants)
        loop.set_exception_handler(self._on_loop_error)

    def note_removed(self, message: Stored) -> None:
        """Somebody took a message out of the jobs stream."""
        where = self.subjects.parse_job(message.subject)
        self.removed.add(admit(where.feature, message.data, None, f"seq{message.seq}").job_id)

    def note(self, text: str) -> None:
        """Keep a line of the story."""
        self.story.append(Note(self.loop.time(), text))

    def fail(self, text: str, error: BaseException | None = None) -> None:
        """Something is wrong; of an error the last frames are told."""
        if error is not None:
            frames = "".join(traceback.format_exception(type(error), error, error.__traceback__)[-6:])
            text = f"{text}: {type(error).__name__}: {error}\n{frames}"
        self.wrong.append(f"at {self.loop.time():.3f} s: {text}")
        self.note(text)

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fail(f"{context.get('message')} {context}", context.get("exception"))

    def _witness(self, subject: str, data: bytes) -> None:
        """What agents report reaches the server: who says that an attempt failed must have been its agent."""
        if subject.startswith("p3d.agents.") and subject.endswith(".outcome"):
            report = decode(OutcomesReported, data)
            for outcome in report.outcomes:
                if isinstance(outcome, AttemptFailed):
                    self.said.add((outcome.job_id, outcome.attempt, report.agent_id, outcome.code))

    @contextmanager
    def logs_told(self) -> Iterator[None]:
        """Take what the services log while the context lasts: lines of the story, and errors are errors of the run."""

        def tell(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
            words, error = event.pop("event"), event.pop("exc_info", None)
            text = f"{current_name()}: {words} " + " ".join(f"{key}={value}" for key, value in event.items())
            if method in ("error", "exception", "critical"):
                self.fail(text, error if isinstance(error, BaseException) else sys.exc_info()[1])
            else:
                self.note(text)
            raise structlog.DropEvent

        before = structlog.get_config()
        structlog.configure(
            processors=[tell],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.configure(**before)
