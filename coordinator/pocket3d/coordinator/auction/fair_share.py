"""Start-time fair queueing over tenants: P. Goyal, H. M. Vin and H. Cheng, "Start-time fair queuing: a scheduling
algorithm for integrated services packet switching networks", SIGCOMM 1996.

Each priority has a virtual clock, and each tenant with jobs of that priority a start tag on it: what it has been served
there, and what it is expected to be by what is out on agents, `seconds x share of a device / weight`. The tenant with
the least tag is next, and a start raises it. A tenant that comes from idleness begins at the clock, so it gains nothing
by having been idle. SFQ stays fair whatever the rate at which it is served, so more urgent priorities, and slots that
come and go, change nothing.

Four things differ from packets in a link:

- What a job costs is estimated at its start and known at its end, when it becomes part of what the tenant was served.
- Many jobs are in service at once. The clock stands at what the tenant that was last started had been served, which is
  the start tag of its oldest job in service: with one job at a time that is the clock of the paper, and what was
  estimated wrong is in nobody's tag once it has ended.
- A tenant may have waited because nothing that was free could take its jobs. It is first then, for one start; what else
  it could not use meanwhile is not owed to it.
- Of tenants with the same tag that one is next whose latest start is the longest ago.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from typing import NamedTuple

from ..settings import EVERY_OTHER_TENANT, TenantSettings

#: Tenants held in one priority before those that stand level with newcomers are looked for.
_KEPT = 64
#: A run that books less memory than this share of its device costs this much: it does take a slot.
_LEAST_SHARE = 0.01


class Cost(NamedTuple):
    """What a start is expected to cost."""

    #: Load and run.
    seconds: float
    #: Of the memory of its device, above 0, at most 1.
    share: float


def booked_share(need_mb: int, at_once: int, total_mb: int) -> float:
    """The share of a device that a run books: its worker's memory, which as many as may run at once have in common.

    Args:
        need_mb: what the loaded model and one request need together.
        at_once: runs that the worker may have at a time.
        total_mb: the device's memory; 0 where it is not known, and the run counts as having all of it.
    """
    if total_mb <= 0:
        return 1.0
    return min(1.0, max(_LEAST_SHARE, need_mb / max(1, at_once) / total_mb))


class Rank(NamedTuple):
    """Where a tenant stands among those of its priority; the least is next."""

    #: Start tag of its next job, virtual seconds.
    tag: float
    #: Number of its latest start; 0 if it had none, as no start is numbered.
    last: int
    #: Number by which equals are ordered: who came first.
    since: int


class Account:
    """One tenant, all priorities together."""

    __slots__ = ("flows", "queued", "running", "settings", "tenant")

    def __init__(self, tenant: str, settings: TenantSettings) -> None:
        self.tenant = tenant
        self.settings = settings
        #: Jobs that wait, those with a retry pause included.
        self.queued = 0
        #: Attempts out on agents.
        self.running = 0
        #: By level.
        self.flows: dict[int, Flow] = {}

    @property
    def at_limit(self) -> bool:
        """True while no further job of it may start."""
        limit = self.settings.max_running
        return limit is not None and self.running >= limit


class Flow:
    """One tenant in one priority."""

    __slots__ = ("account", "clock", "owed", "pending", "rank", "running", "served", "waiting")

    def __init__(self, account: Account, clock: VirtualClock) -> None:
        self.account = account
        self.clock = clock
        #: Virtual seconds of what has ended, and what is estimated of that which has not.
        self.served = clock.now
        self.pending = 0.0
        #: By so much its tag may be behind the clock: the clock went on while it was charged too much.
        self.owed = 0.0
        self.rank = Rank(clock.now, 0, next(clock.numbers))
        #: Jobs that could start now.
        self.waiting = 0
        #: Starts that have not ended.
        self.running = 0

    def catch_up(self, owed: float) -> None:
        """Forget what it could have been served before the clock's time and was not, but for what it is `owed`."""
        behind = max(0.0, self.clock.now - self.served - self.pending)
        self.owed = min(owed, behind)
        self.served += behind - self.owed

    def ranked(self, last: int) -> None:
        """Rank it anew, with the number of its latest start."""
        self.rank = Rank(self.served + self.pending, last, self.rank.since)


class VirtualClock:
    """The tenants of one priority, and its virtual time in seconds of a whole device at weight 1."""

    __slots__ = ("busy", "cap", "flows", "level", "now", "numbers")

    def __init__(self, level: int) -> None:
        self.level = level
        self.now = 0.0
        #: Of the tenants that come, and of starts.
        self.numbers = count()
        self.flows: dict[str, Flow] = {}
        #: Jobs that wait or run.
        self.busy = 0
        self.cap = _KEPT


class Charge(NamedTuple):
    """What a start has cost its tenant so far."""

    account: Account
    #: In the job's own priority, and in the one to which it had risen.
    flows: tuple[Flow, ...]
    #: As it was estimated.
    seconds: float
    #: Virtual seconds per second; 0 for an attempt that costs nothing.
    rate: float


class FairShare:
    """Whose turn it is. Pure.

    Args:
        tenants: by name; `*` for all others.
        levels: how many priorities there are, the first most urgent.
        sooner: called with a tenant's flow when its next start came nearer, because something cost less than estimated.
    """

    def __init__(self, tenants: Mapping[str, TenantSettings], levels: int, sooner: Callable[[Flow], None]) -> None:
        self._tenants = tenants
        self._others = tenants.get(EVERY_OTHER_TENANT, TenantSettings())
        self._sooner = sooner
        self.clocks = [VirtualClock(level) for level in range(levels)]
        self.accounts: dict[str, Account] = {}

    # -- who is there

    def settings_of(self, tenant: str) -> TenantSettings:
        """What is set for a tenant."""
        return self._tenants.get(tenant, self._others)

    def refusal(self, tenant: str, arriving: int = 0) -> str | None:
        """Why no further job of a tenant is taken; None if it is.

        Args:
            tenant: whose job it would be.
            arriving: jobs of it that were taken and are not in the queue yet.
        """
        limit = self.settings_of(tenant).max_queued
        account = self.accounts.get(tenant)
        waiting = arriving + (account.queued if account is not None else 0)
        if limit is None or waiting < limit:
            return None
        return f"tenant {tenant} has {waiting} jobs that wait, and may have {limit} (max_queued): submit it again later"

    def queued(self, tenant: str) -> None:
        """A job is in the queue, though it may pause."""
        self._account(tenant).queued += 1

    def unqueued(self, tenant: str) -> None:
        """A job has left the queue."""
        account = self.accounts[tenant]
        account.queued -= 1
        self._close(account)

    def waits(self, tenant: str, level: int) -> Flow:
        """A job waits that could start now."""
        flow = self._flow(self._account(tenant), level)
        flow.clock.busy += 1
        flow.waiting += 1
        if flow.waiting == 1:
            flow.catch_up(0.0)
            flow.ranked(flow.rank.last)
        return flow

    def waits_no_more(self, flow: Flow) -> None:
        """A job that waited has left. Its start, if it is one, is charged before."""
        flow.waiting -= 1
        flow.clock.busy -= 1
        self._tidy(flow)

    def before(self, flow: Flow) -> list[str]:
        """Tenants of the same priority whose turns come before this one's, the next first."""
        flows = flow.clock.flows.values()
        ahead = [each for each in flows if each.waiting and each.rank < flow.rank and not each.account.at_limit]
        return [each.account.tenant for each in sorted(ahead, key=lambda each: each.rank)]

    # -- starts

    def standing(self, tenant: str, level: int) -> tuple[float, int]:
        """Tag and latest start that a tenant's job has in a priority, if it were to start there now."""
        clock = self.clocks[level]
        flow = clock.flows.get(tenant)
        return (clock.now, 0) if flow is None else (max(clock.now, flow.rank.tag), flow.rank.last)

    def start(self, flow: Flow, level: int, cost: Cost) -> Charge:
        """Charge a tenant for a start.

        Args:
            flow: whose job it is.
            level: the priority to which the job had risen; the flow's own if it had not.
            cost: what it is expected to cost.
        """
        account = flow.account
        rate = cost.share / account.settings.weight
        flows = (flow,) if level == flow.clock.level else (flow, self._flow(account, level))
        for each in flows:
            clock = each.clock
            each.catch_up(each.owed)
            clock.now = max(clock.now, each.served)
            clock.busy += 1
            each.running += 1
            each.pending += cost.seconds * rate
            each.ranked(next(clock.numbers))
        account.running += 1
        return Charge(account, flows, cost.seconds, rate)

    def runs_already(self, tenant: str) -> Charge:
        """Count an attempt that was not started here: after a takeover all begin level."""
        account = self._account(tenant)
        account.running += 1
        return Charge(account, (), 0.0, 0.0)

    def settle(self, charge: Charge, seconds: float) -> None:
        """A start has ended: what it cost is known.

        Args:
            charge: what was charged.
            seconds: how long it had its share of the device.
        """
        account, rate = charge.account, charge.rate
        account.running -= 1
        for flow in charge.flows:
            flow.running -= 1
            flow.clock.busy -= 1
            flow.served += seconds * rate
            # Nothing but a rounding error is left of what nothing stands for.
            flow.pending = flow.pending - charge.seconds * rate if flow.running else 0.0
            former = flow.rank
            flow.ranked(former.last)
            flow.owed = min(max(0.0, flow.clock.now - flow.rank.tag), flow.owed + max(0.0, former.tag - flow.rank.tag))
            if flow.rank < former and flow.waiting:
                self._sooner(flow)
            self._tidy(flow)
        self._close(account)

    # -- keeping

    def _account(self, tenant: str) -> Account:
        account = self.accounts.get(tenant)
        if account is None:
            account = self.accounts[tenant] = Account(tenant, self.settings_of(tenant))
        return account

    def _flow(self, account: Account, level: int) -> Flow:
        flow = account.flows.get(level)
        if flow is None:
            clock = self.clocks[level]
            flow = account.flows[level] = clock.flows[account.tenant] = Flow(account, clock)
        return flow

    def _tidy(self, flow: Flow) -> None:
        """Forget tenants of which nothing is remembered that a newcomer would not have. With nothing to do in a
        priority all its tenants are level (the end of a busy period in SFQ).
        """
        clock = flow.clock
        if not clock.busy:
            clock.now = 0.0
            for each in list(clock.flows.values()):
                self._forget(each)
            return
        if not flow.waiting and not flow.running and flow.served <= clock.now:
            self._forget(flow)
        if len(clock.flows) > clock.cap:
            idle = [each for each in clock.flows.values() if not each.waiting and not each.running]
            for each in idle:
                if each.served <= clock.now:
                    self._forget(each)
            clock.cap = max(_KEPT, 2 * len(clock.flows))

    def _forget(self, flow: Flow) -> None:
        account, clock = flow.account, flow.clock
        if clock.flows.pop(account.tenant, None) is not None:
            del account.flows[clock.level]
            self._close(account)

    def _close(self, account: Account) -> None:
        if not account.queued and not account.running and not account.flows:
            self.accounts.pop(account.tenant, None)
