"""How much goes wrong in a run, and until when."""

from __future__ import annotations

import msgspec


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
    worker_crash_s: float = 10.0
    clock_jump_s: float = 40.0
    #: Somebody else takes or frees memory on a measured device; an operator loads or unloads an adapter or drains.
    foreign_memory_s: float = 10.0
    operator_s: float = 15.0
    #: Longest pause and cut, seconds.
    pause_max_s: float = 40.0
    cut_max_s: float = 25.0


#: Nothing goes wrong.
CALM = FaultProfile(
    until_s=0.0,
    lose=0,
    duplicate=0,
    late=0,
    very_late=0,
    false_conflict=0,
    own_conflict=0,
    server_restart_s=0,
    coordinator_crash_s=0,
    coordinator_pause_s=0,
    agent_crash_s=0,
    agent_pause_s=0,
    link_cut_s=0,
    worker_crash_s=0,
    clock_jump_s=0,
    foreign_memory_s=0,
    operator_s=0,
)
