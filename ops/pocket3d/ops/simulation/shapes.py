"""The shape of the run of each seed: most are like the next, some stress one thing."""

from __future__ import annotations

import msgspec

from .faults import FaultProfile
from .world import RunShape

_MIXED = RunShape()
#: The network loses, delays and repeats a lot; processes live.
_BAD_NETWORK = RunShape(
    faults=FaultProfile(
        lose=0.1,
        duplicate=0.1,
        late=0.2,
        late_s=2.0,
        very_late=0.05,
        false_conflict=0.05,
        own_conflict=0.05,
        coordinator_crash_s=0,
        agent_crash_s=0,
        agent_pause_s=0,
        coordinator_pause_s=0,
    )
)
#: Agents are cut off for longer than their lease, and come back with what they did meanwhile.
_CUT_OFF = RunShape(
    jobs=40,
    agents=4,
    publish_over_s=45.0,
    faults=FaultProfile(
        until_s=60.0,
        link_cut_s=5.0,
        agent_pause_s=8.0,
        coordinator_crash_s=30.0,
        coordinator_pause_s=0,
        agent_crash_s=0,
        server_restart_s=0,
    ),
)
#: Leaders come and go.
_COUPS = RunShape(
    coordinators=3, faults=FaultProfile(coordinator_crash_s=12.0, coordinator_pause_s=12.0, link_cut_s=12.0)
)
#: Two agents with one id, and agents that die.
_TWINS = RunShape(twins=True, faults=FaultProfile(agent_crash_s=12.0, agent_pause_s=20.0))
#: A small index: jobs are read as others end; and agents that fetch one job's inputs at a time.
_SMALL_INDEX = msgspec.structs.replace(
    RunShape(),
    faults=FaultProfile(operator_s=4.0),
    coordinator=msgspec.structs.replace(RunShape().coordinator, index_cap=8),
    agent=msgspec.structs.replace(RunShape().agent, max_fetches=1, drain_timeout_s=1.0),
)
_SHAPES = (_MIXED, _BAD_NETWORK, _COUPS, _CUT_OFF, _TWINS, _SMALL_INDEX)


def shape_of(seed: int) -> RunShape:
    """The shape of a seed's run."""
    return _SHAPES[seed % len(_SHAPES)]
