"""In which line an effect waits for its turn: what enters, what ends and what is urgent do not wait for one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine import effects
from ..leadership.ended_sweep import LookAtEnded
from ..leadership.term_engine import TermEffect


def _entry(effect: effects.PublishQueued | effects.ReadLastEvent) -> str:
    # One without a priority is of a result, whose job has ended.
    priority = effect.status.priority if isinstance(effect, effects.PublishQueued) else effect.priority
    return f"entry {priority}" if priority is not None else "endings"


def _ending(effect: effects.StoreResult | effects.ReadResult | effects.StoreDeadLetter) -> str:
    # A hundred thousand that expire do not hold up the urgent one.
    priority = effect.letter.priority if isinstance(effect, effects.StoreDeadLetter) else effect.priority
    return f"endings {priority}"


def _request(effect: effects.ReadRequest) -> str:
    return "awards" if effect.ends is None else f"endings {effect.ends}"


def _always(lane: str) -> Callable[[Any], str]:
    return lambda effect: lane


#: Each costs several reads; a producer that repeats itself makes thousands, and what ends does not wait for them.
SECOND_PUBLISHES = "second publishes"

#: Of the effects of which there may be thousands.
_LANES: dict[type, Callable[[Any], str]] = {
    effects.PublishQueued: _entry,
    effects.ReadLastEvent: _entry,
    effects.StoreDeadLetter: _ending,
    effects.ReadRequest: _request,
    effects.StoreResult: _ending,
    effects.ReadResult: _ending,
    effects.ReadCached: _always("cache"),
    effects.DeleteResult: _always("endings"),
    effects.DeleteJob: _always("acks"),
    effects.FindMessages: lambda effect: "sweep" if effect.sweep else SECOND_PUBLISHES,
    LookAtEnded: _always("sweep"),
    effects.RecordAgent: _always("agents"),
    effects.ForgetAgent: _always("agents"),
}


def lane_of(effect: TermEffect) -> str | None:
    """The lane of an effect; None for one that waits for nothing."""
    lane = _LANES.get(type(effect))
    return lane(effect) if lane is not None else None
