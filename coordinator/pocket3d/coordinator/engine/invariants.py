"""What must hold after every event. Asked by tests and the simulation."""

from __future__ import annotations

from collections import Counter

from pocket3d.contracts.lifecycle import PRIORITIES, JobState

from .job import JobRecord
from .state import Core

_ON_AGENT = (JobState.AWARDED, JobState.RUNNING)
_OVER = (JobState.FINISHING, JobState.FINISHED)


def check(core: Core) -> None:
    """Raises `AssertionError` that says what is broken."""
    filed = waiting = 0
    for job_id, record in core.jobs.items():
        _must(record.job_id == job_id, f"{job_id} is filed as {record.job_id}")
        _check_job(core, record)
        _must(core.job_list.files(record), f"{job_id} is {record.state.value} and listed elsewhere")
        waiting += record.state is JobState.QUEUED
        if record.attempt is not None or record.recovery is not None or record.ending is not None or record.removed:
            filed += _check_lists(core, record)
            _check_booking(core, record)
    index = core.index
    lists = (index.recovering, index.cancelling, index.unanswered, index.pending_decisions, index.removed)
    listed = sum(map(len, lists))
    _must(listed == filed, f"the index lists {listed} jobs, the records make it {filed}")
    _check_queue(core, waiting)
    _must(len(core.job_list) == len(core.jobs), f"{len(core.jobs)} jobs are held, {len(core.job_list)} listed")
    _check_share(core)
    _check_intake(core)
    _check_bookings(core)


def _must(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _check_job(core: Core, record: JobRecord) -> None:
    job_id, state = record.job_id, record.state
    if state in _ON_AGENT:
        _must(record.attempt is not None, f"{job_id} is {state.value} without an attempt")
    elif state is not JobState.RECOVERING:
        _must(record.attempt is None, f"{job_id} is {state.value} with an attempt")
    _must(record.recovery is None or state is JobState.RECOVERING, f"{job_id} is {state.value} and still recovering")
    _must(record.ending is None or state not in _OVER, f"{job_id} is {state.value} and its ending is to be decided")
    _must(record.ending is None or not core.may_decide, f"{job_id}: an ending waits that could be decided")
    _must(state is not JobState.FINISHING or record.proposal is not None, f"{job_id} ends with nothing proposed")


def _check_lists(core: Core, record: JobRecord) -> int:
    """In how many lists of the index the job is."""
    belongs_to = 0
    for jobs, belongs in core.index.memberships(record):
        _must((jobs.get(record.job_id) is record) == belongs, f"{record.job_id} is in the wrong lists of the index")
        belongs_to += belongs
    return belongs_to


def _check_queue(core: Core, waiting: int) -> None:
    waiting -= _check_held(core)
    _must(waiting == core.queue.count, f"{waiting} jobs wait, the queue counts {core.queue.count}")
    queued = 0
    for record in core.queue:
        queued += 1
        known = record.state is JobState.QUEUED and core.jobs.get(record.job_id) is record
        _must(known, f"{record.job_id} is in the queue and {record.state.value}")
        _must(not core.held.holds(record.job_id), f"{record.job_id} is in the queue and held")
    _must(queued == waiting, f"{waiting} jobs wait, {queued} are in the queue")
    for job_id in core.attempt_deadlines.jobs():
        known = job_id in core.jobs and core.jobs[job_id].attempt is not None
        _must(known, f"{job_id} has no attempt and a deadline for one")
    hold = core.auctioneer.backfill.hold
    if hold is not None:
        held = core.jobs.get(hold.job_id)
        waits = held is not None and held.state is JobState.QUEUED and held.group_key() == hold.key
        _must(waits, f"{hold.agent_id}/{hold.device} is held for {hold.job_id}, which does not wait for it")
    for job_id in (*core.unknown_feature_jobs, *core.deadlines.jobs()):
        known = job_id in core.jobs and core.jobs[job_id].state is JobState.QUEUED
        _must(known, f"{job_id} does not wait and has a deadline, or waits for its feature")


def _check_held(core: Core) -> int:
    """How many jobs are held; each of them is queued, and nobody waits for what is known."""
    held = [record for job_id, record in core.jobs.items() if core.held.holds(job_id)]
    for record in held:
        sources = core.held.sources(record.job_id)
        _must(record.state is JobState.QUEUED, f"{record.job_id} is {record.state.value} and held")
        cached = core.held.cached(record.job_id)
        _must(bool(sources) != (cached is not None), f"{record.job_id} is held for {sources} and {cached}")
        for source in sources:
            _must(record.job_id in core.held.waiting_for(source), f"{record.job_id} is not told of {source}")
    _must(len(core.held) == len(held), f"{len(held)} jobs are held, {len(core.held)} are counted")
    return len(held)


def _check_share(core: Core) -> None:
    """What tenants have waiting and running is what their accounts say."""
    share = core.queue.share
    queued = Counter(record.job_class.tenant for record in core.queue)
    charges = {job_id: record.attempt.charge for job_id, record in core.jobs.items() if record.attempt is not None}
    running = Counter(charge.account.tenant for charge in charges.values() if charge is not None)
    _must(set(share.accounts) >= set(queued) | set(running), "a tenant with jobs has no account")
    for tenant, account in share.accounts.items():
        said, true = (account.queued, account.running), (queued[tenant], running[tenant])
        _must(said == true, f"{tenant} has {true} jobs that wait and run, its account says {said}")
    flows = Counter(flow for charge in charges.values() if charge is not None for flow in charge.flows)
    for clock in share.clocks:
        _must(all(flows[flow] == flow.running for flow in clock.flows.values()), "a start is charged to nobody")
        busy = sum(flow.waiting + flow.running for flow in clock.flows.values())
        _must(busy == clock.busy, f"priority {clock.level} has {busy} jobs, its clock says {clock.busy}")
    for group in (*core.queue.active.values(), *core.queue.unschedulable.values()):
        _must(len(group) == sum(map(len, group.lines.values())), f"{group.key} does not have {len(group)} jobs")
        _must(all(map(group.filed, group.lines.values())), f"a line of {group.key} waits beside its turns")


def _check_intake(core: Core) -> None:
    """What is read follows how many jobs of each priority are held, and how many are not known yet."""
    for priority in PRIORITIES:
        held = [record for record in core.jobs.values() if record.job_class.priority == priority]
        entering = sum(record.state is JobState.SUBMITTED for record in held)
        counted = core.intake.held(priority), core.intake.entering(priority)
        seconds = sum(each == priority for each in core.second_publishes.values())
        _must(
            core.intake.repeated(priority) == seconds,
            f"{seconds} second publishes of {priority} are not what is counted",
        )
        _must(counted == (len(held), entering), f"{counted} {priority} jobs counted, {(len(held), entering)} are held")


def _check_booking(core: Core, record: JobRecord) -> None:
    """An attempt is booked on the agent that has it."""
    attempt = record.attempt
    view = core.fleet.agents.get(attempt.agent_id) if attempt is not None and record.state in _ON_AGENT else None
    if attempt is not None and view is not None and view.advert.incarnation == attempt.incarnation:
        booking = view.attempts.get(attempt.token)
        _must(
            (booking is not None and booking.job_id == record.job_id)
            or attempt.pending_verification
            # It is known to be lost, and to be told once the leadership is proved again.
            or record.ending is not None,
            f"{attempt.token} of {record.job_id} is not booked on {attempt.agent_id}",
        )


def _check_bookings(core: Core) -> None:
    """And on no other."""
    for agent_id, view in core.fleet.agents.items():
        for token, booking in view.attempts.items():
            held = core.jobs.get(booking.job_id)
            if held is not None and held.attempt is not None and held.attempt.token == token:
                _must(held.attempt.agent_id == agent_id, f"{token} is booked on {agent_id}")
