"""How large a run is and how much goes wrong in it; most seeds' runs are like the next, some stress one thing."""

from __future__ import annotations

import msgspec

from pocket3d.coordinator.settings import CoordinatorSettings, TenantSettings
from pocket3d.gpu_agents.settings import AgentSettings


class FaultProfile(msgspec.Struct, frozen=True, kw_only=True):
    """Chances per message or per hour of virtual time; all of it ends at `until_s`."""

    #: Virtual seconds after which nothing goes wrong any more.
    until_s: float = 40.0
    # -- per message
    lose: float = 0.02
    #: Core messages only: the server never stores a message twice by itself.
    duplicate: float = 0.02
    #: Delivered late, by up to `late_s`.
    late: float = 0.05
    late_s: float = 1.0
    #: Requests to the server that are carried out after their author gave up.
    very_late: float = 0.01
    very_late_s: float = 9.0
    #: An append that is refused because a rival is in process, and the rival does not make it (JetStream's 10164).
    false_conflict: float = 0.01
    #: An append that is refused because of itself: it was stored, and what is answered is its own repetition.
    own_conflict: float = 0.01
    # -- mean seconds between two; 0 for never
    server_restart_s: float = 40.0
    coordinator_crash_s: float = 40.0
    coordinator_pause_s: float = 40.0
    agent_crash_s: float = 30.0
    agent_pause_s: float = 40.0
    link_cut_s: float = 20.0
    #: JetStream does not answer one agent, as at a leaf node; core messages pass.
    store_cut_s: float = 0.0
    worker_crash_s: float = 10.0
    clock_jump_s: float = 40.0
    #: Somebody else takes or frees memory on a measured device; an operator loads or unloads an adapter or drains.
    foreign_memory_s: float = 10.0
    #: From then on every load fails on one of an agent's two devices, until the faults end.
    sick_device_s: float = 0.0
    operator_s: float = 15.0
    #: Somebody removes a message, or all, from the jobs stream; one of the leader's consumers; a bucket.
    removed_message_s: float = 30.0
    removed_consumer_s: float = 40.0
    removed_bucket_s: float = 40.0
    #: Longest pause and cut, seconds.
    pause_max_s: float = 40.0
    cut_max_s: float = 25.0


#: Nothing goes wrong.
CALM = FaultProfile(until_s=0.0)


class RunShape(msgspec.Struct, frozen=True, kw_only=True):
    """How large a run is, and how much goes wrong."""

    jobs: int = 30
    coordinators: int = 2
    agents: int = 3
    publish_over_s: float = 25.0
    faults: FaultProfile = FaultProfile()
    #: Virtual seconds after the last fault within which everything must have come to rest.
    rest_s: float = 300.0
    #: Good jobs only, each published once.
    plain: bool = False
    #: Engines check themselves, the agents' after every event; off where only the oracle is to speak.
    check: bool = True
    #: The first agent does not reach JetStream before the faults end.
    leaf: bool = False
    #: Two agents claim the first agent's id.
    twins: bool = False
    #: One model can be loaded in several sizes.
    variants: bool = False
    #: Chains and groups beside the jobs, drawn by a chance of their own.
    chains: int = 0
    #: Some jobs name files of others.
    references: bool = False
    coordinator: CoordinatorSettings = CoordinatorSettings(
        bench_s=2.0,
        bench_cap_s=8.0,
        hold_after_s=6.0,
        cancel_wait_s=8.0,
        ageing_s=15.0,
        orphan_grace_s=4.0,
        source_grace_s=6.0,
        tenants={
            "south": TenantSettings(weight=3.0, max_running=1),
            "strict": TenantSettings(weight=0.5, max_queued=3),
        },
    )
    agent: AgentSettings = AgentSettings(
        drain_timeout_s=4.0,
        leave_timeout_s=4.0,
        leave_bound_s=4.0,
        idle_timeout_s=6.0,
        quarantine_s=2.0,
        quarantine_cap_s=8.0,
    )


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
_SMALL_INDEX = RunShape(
    faults=FaultProfile(operator_s=4.0),
    coordinator=msgspec.structs.replace(RunShape().coordinator, index_cap=8),
    agent=msgspec.structs.replace(RunShape().agent, max_fetches=1, drain_timeout_s=1.0, leave_timeout_s=1.0),
)
#: Agents lose the way to the stores, one has none; they store one file at a time, and list one run that waits for it.
_NO_STORE = RunShape(
    jobs=40,
    leaf=True,
    faults=FaultProfile(store_cut_s=8.0, agent_crash_s=60.0, agent_pause_s=60.0),
    agent=msgspec.structs.replace(RunShape().agent, max_uploads=1, backlog_factor=1, finished_in_adverts=1),
)
#: A device of each agent that has two falls sick.
_SICK = RunShape(
    jobs=40,
    agents=4,
    faults=FaultProfile(sick_device_s=5.0, agent_crash_s=60.0, agent_pause_s=60.0, worker_crash_s=30.0),
)
_SHAPES = (RunShape(), _BAD_NETWORK, _COUPS, _CUT_OFF, _TWINS, _SMALL_INDEX, _NO_STORE)
#: Which seeds have sick devices.
_SICK_EVERY = 25
#: Which seeds have chains and groups.
_CHAINS_EVERY = 3


def shape_of(seed: int) -> RunShape:
    """The shape of a seed's run. Of each shape some runs have variants."""
    # One in so many: the others are what they were before there was this one.
    shape = _SICK if seed % _SICK_EVERY == _SICK_EVERY - 1 else _SHAPES[seed % len(_SHAPES)]
    shape = msgspec.structs.replace(shape, variants=seed % 25 == 24, references=seed % 8 == 5)
    return msgspec.structs.replace(shape, chains=4) if seed % _CHAINS_EVERY == 0 else shape
