"""The words for where a job stands, and the error of a move that a table lacks. The tables belong to the engines."""

from __future__ import annotations

from enum import Enum
from typing import Literal

Priority = Literal["high", "normal", "low"]
#: Highest first.
PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")

#: What a status, an event body and the KV bucket may say.
StatusWord = Literal[
    "submitted", "queued", "awarded", "running", "succeeded", "failed", "cancelled", "expired", "rejected"
]
#: What a result may say.
ResultWord = Literal["succeeded", "failed", "cancelled", "expired", "rejected"]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "expired", "rejected"})

#: The last token of an event's subject.
EventWord = Literal["queued", "started", "requeued", "succeeded", "failed", "cancelled", "expired", "rejected"]


class JobState(str, Enum):
    """Where the coordinator's engine holds a job."""

    #: Read from the jobs stream; its `queued` event is being published (the CAS that makes submit idempotent).
    SUBMITTED = "submitted"
    #: Known to the events stream before this leader read it; its story is being read.
    RECOVERING = "recovering"
    #: Waits for an award, or before that for the results of other jobs that its inputs name.
    QUEUED = "queued"
    #: Awarded to an agent that has not yet said that it started.
    AWARDED = "awarded"
    #: An agent runs it.
    RUNNING = "running"
    #: The engine proposed a terminal result; the results stream decides.
    FINISHING = "finishing"
    #: The results stream holds its result; event and acks are under way.
    FINISHED = "finished"


class InvalidTransition(Exception):
    """A job, run or worker was about to make a move that its table lacks. The message ends with its history.

    Attributes:
        start: the state that it is in.
        end: the state that it was to be in.
    """

    def __init__(self, what: str, start: Enum, end: Enum, history: list[str]) -> None:
        super().__init__(f"{what}: {start.value} -> {end.value} is not in the table; its history: {'; '.join(history)}")
        self.start = start
        self.end = end
