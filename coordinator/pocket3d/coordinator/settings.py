"""What can be set about a coordinator. Durations are seconds."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pocket3d.contracts.subjects import TENANT_PATTERN

#: The key of `tenants` for all tenants that are not named there; no tenant can have this name.
EVERY_OTHER_TENANT = "*"


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may have of the fleet."""

    #: A tenant of weight 2 gets twice as much as one of weight 1 while both have jobs that wait.
    weight: Annotated[float, Meta(ge=0.001, le=1000)] = 1.0
    #: Jobs that may be out on agents at a time, all priorities together; None for any number.
    max_running: Annotated[int, Meta(ge=1)] | None = None
    #: Jobs that may wait; further ones are refused. None for any number.
    max_queued: Annotated[int, Meta(ge=0)] | None = None


class CoordinatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read once at the edge; the engine never looks elsewhere."""

    #: Period of the engine's tick; one that comes after twice this is late and expires nothing.
    tick_s: float = 0.25
    #: An agent that has said nothing for so long is lost.
    agent_lease_s: float = 15.0
    #: How often agents advertise; one that is two adverts late is asked.
    advert_s: float = 1.0
    #: Two "no responders" to that question within this time: the agent is not connected at all.
    no_responders_within_s: float = 5.0
    #: The leader's lease and how often it is renewed.
    leader_lease_s: float = 15.0
    leader_renew_s: float = 3.0
    #: A new leader waits this long for the agents it knows of to say what they run, before it awards anything.
    recovery_answers_s: float = 2.0
    #: A round closes when those have answered who usually answer in time, or after this; where it waits for agents that
    #: are known to take longer, it learns how long, up to the second.
    round_deadline_s: float = 0.25
    round_deadline_cap_s: float = 2.0
    #: Bids that come later than their round closed are used for so long.
    late_bids_s: float = 10.0
    #: An award without an answer after this is unknown, and the agent is asked what it runs.
    award_timeout_s: float = 3.0
    #: Agents invited per lot in a large fleet; a fleet of up to `invite_all_up_to` is invited whole.
    invite_per_lot: int = 8
    invite_all_up_to: int = 16
    #: Kinds of jobs in one round, and jobs of one kind.
    lots_per_round: int = 64
    jobs_per_lot: int = 512
    #: Tenants by name, and `*` for those that are not named. Within a priority they share the fleet by weight.
    tenants: dict[str, TenantSettings] = {}
    #: A waiting job rises one priority after each such time, when it is its tenant's turn.
    ageing_s: float = 120.0
    #: The oldest job that waits for room longer than this may hold one device (EASY backfill).
    hold_after_s: float = 60.0
    #: How much longer a job that names no variant may wait for a better one: starts that differ by no more are equal.
    #: The time of a load is no wait.
    variant_wait_s: Annotated[float, Meta(ge=0)] = 0.0
    #: Assumed run time where no agent has a history, for planning only.
    assumed_run_s: float = 30.0
    #: Jobs that fail in a row on a device, or on several of an agent, until an adapter is benched there; the first
    #: pause, and the longest.
    bench_after: int = 3
    bench_s: float = 30.0
    bench_cap_s: float = 600.0
    #: A job whose adapters are broken wherever they are listed fails after this; an agent that is being restarted, or
    #: is about to join, has so long to offer a sound one.
    unavailable_wait_s: float = 15.0
    #: A cancelled running job gets its `cancelled` result at the latest after this, whatever its agent says.
    cancel_wait_s: float = 30.0
    #: An attempt may take its `load_s` and `start_to_close_s`, and so much more for its files. Agents end it sooner by
    #: limits of its own; this is for one that keeps none.
    attempt_grace_s: float = 1500.0
    #: A job that others name among their inputs and that is not known is waited for so long.
    source_grace_s: Annotated[float, Meta(ge=0)] = 10.0
    #: A job that asks for a cached result gets that of a job which ended so long ago at most: as much longer as outputs
    #: are kept than results, so that its files live as long as its own result.
    cache_age_s: Annotated[float, Meta(ge=0)] = 604_800.0
    #: How often the jobs stream is counted, to notice messages that somebody removed from it, and the status bucket, to
    #: notice jobs that were purged.
    removal_sweep_s: float = 10.0
    #: Outputs that no result names, and chunks of broken uploads, are left alone for so long, then removed.
    orphan_grace_s: float = 3600.0
    #: Jobs of one priority held in memory; beyond it no more of that priority are read.
    index_cap: int = 200_000
    #: Policy that orders bids; see `scoring`.
    policy: str = "least_start"

    def __post_init__(self) -> None:
        for name in self.tenants:
            if name != EVERY_OTHER_TENANT and not TENANT_PATTERN.fullmatch(name):
                raise ValueError(f"tenants: {name!r}: want 1 to 64 of A-Z, a-z, 0-9, _, . and -, or * for all others")
