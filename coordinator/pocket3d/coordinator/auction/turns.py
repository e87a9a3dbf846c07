"""Between priorities: whose turn it is when each priority has its next job, and how jobs rise by waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .fair_share import FairShare, Flow

#: How urgent a tenant's job is among its own, the least is next: the level of its priority (0 the highest) less one for
#: each ageing time that it has waited, which may be below 0; when it was queued, monotonic seconds; its sequence in the
#: jobs stream.
Urgency = tuple[int, float, int]


class Turn(NamedTuple):
    """The next job of a group or lot, and whose it is."""

    flow: Flow
    urgency: Urgency
    #: Number of the group or lot among its like.
    number: int


def level_of(turn: Turn) -> int:
    """The priority in which a job competes: its own, or the one to which it has risen."""
    return max(0, min(turn.flow.clock.level, turn.urgency[0]))


def first_of(turns: Sequence[Turn], share: FairShare) -> Turn:
    """Of the next jobs of several priorities, that one whose turn it is.

    The more urgent priority is first. A job that has risen competes there as its tenant's: it takes one of the turns
    that its tenant has in that priority, and none of others. Within one tenant only urgency counts.
    """
    if len(turns) == 1:
        return turns[0]
    if all(turn.flow.account is turns[0].flow.account for turn in turns):
        return min(turns, key=lambda turn: turn.urgency)

    def key(turn: Turn) -> tuple[object, ...]:
        level, account = level_of(turn), turn.flow.account
        own = min(each.flow.clock.level for each in turns if each.flow.account is account and level_of(each) == level)
        return (level, share.standing(account.tenant, level), own, account.tenant, turn.urgency)

    return min(turns, key=key)


def is_before(turn: Turn, other: Turn, share: FairShare) -> bool:
    """True if a job's turn comes before that of another tenant's."""
    if turn.flow.account is other.flow.account:
        return False
    if turn.flow.clock is other.flow.clock:
        return turn.flow.rank < other.flow.rank
    return first_of((turn, other), share) is turn


def in_turn(turns: Sequence[Turn], share: FairShare) -> list[Turn]:
    """All of them, in their order."""
    if not turns or all(turn.flow.account is turns[0].flow.account for turn in turns):
        return sorted(turns, key=lambda turn: turn.urgency)
    levels: list[list[Turn]] = [[] for _ in share.clocks]
    for turn in turns:
        levels[turn.flow.clock.level].append(turn)
    for level in levels:
        level.sort(key=lambda turn: (turn.flow.rank, turn.urgency), reverse=True)
    found = []
    while len(firsts := [level[-1] for level in levels if level]) > 1:
        turn = first_of(firsts, share)
        found.append(levels[turn.flow.clock.level].pop())
    return found + [turn for level in levels for turn in reversed(level)]
