"""Turns within one round, where a tenant's rank changes while its lines wait to come up."""

from __future__ import annotations

from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import Priority
from pocket3d.coordinator.auction.fair_share import Cost
from pocket3d.coordinator.auction.lot_turns import LotTurns
from pocket3d.coordinator.auction.queue import WaitingQueue
from pocket3d.coordinator.engine.job import JobClass, JobRecord

NORMAL = 1


def waiting(
    queue: WaitingQueue, number: int, tenant: str, priority: Priority, queued_at: float, vram_mb: int | None = None
) -> JobRecord:
    job_class = JobClass.of("echo", "echo", priority, Job(inputs={}, tenant=tenant, vram_mb=vram_mb))
    record = JobRecord(number, f"{tenant}{number}", job_class, 0.0, 0.0)
    record.queued_at = queued_at
    queue.add(record, queued_at)
    return record


def test_a_tenant_that_was_charged_for_a_risen_job_comes_up_later_and_is_not_lost() -> None:
    queue = WaitingQueue(ageing_s=100)
    low = waiting(queue, 3, "a", "low", 0.0)
    normal = [waiting(queue, number, tenant, "normal", 100.0) for number, tenant in ((1, "b"), (2, "a"))]
    flows = queue.share.clocks[NORMAL].flows
    # Both are owed what the clock went on without them, so they stand level at it; a's latest start is longer ago.
    queue.share.clocks[NORMAL].now = 10.0
    flows["a"].served = 1.0
    flows["a"].ranked(0)
    flows["b"].ranked(5)
    groups = [queue.group_of(record.group_key()) for record in (normal[0], low)]
    lots = [(number, group, 2) for number, group in enumerate(groups) if group is not None]
    # The low job has waited for one ageing time: it competes with normal ones.
    turns = LotTurns(queue, lots, 101.0)
    order = []
    while (turn := turns.next()) is not None:
        order.append(turn.record.job_id)
        turns.charge(turn.turn, Cost(100.0, 1.0))
    assert order == ["a3", "b1", "a2"]
    turns.put_back()
    assert all(group.filed(line) for _, group, _ in lots for line in group.lines.values())


def test_a_job_that_found_no_place_is_not_looked_at_twice_because_its_tenant_has_another_kind() -> None:
    queue = WaitingQueue(ageing_s=100)
    records = [waiting(queue, number, tenant, "normal", 0.0) for number, tenant in enumerate(("a", "b"))]
    records.append(waiting(queue, 2, "a", "normal", 0.0, vram_mb=5))
    groups = {record.group_key(): queue.group_of(record.group_key()) for record in records}
    turns = LotTurns(
        queue, [(n, group, len(group)) for n, group in enumerate(groups.values()) if group is not None], 1.0
    )
    order = []
    while (turn := turns.next()) is not None:
        order.append(turn.record.job_id)
    assert order == ["a0", "a2", "b1"]


def test_of_a_tenants_kinds_that_comes_first_whose_first_job_has_waited_longest() -> None:
    queue = WaitingQueue(ageing_s=100)
    records = [waiting(queue, n, "a", "normal", at, vram_mb=n) for n, at in enumerate((5.0, 3.0, 1.0, 4.0))]
    groups = [queue.group_of(record.group_key()) for record in records]
    turns = LotTurns(queue, [(n, group, 1) for n, group in enumerate(groups) if group is not None], 6.0)
    order = []
    while (turn := turns.next()) is not None:
        order.append(turn.record.job_id)
    assert order == ["a2", "a1", "a3", "a0"]


def test_of_a_lot_that_is_closed_no_further_job_is_looked_at() -> None:
    queue = WaitingQueue(ageing_s=100)
    for number in range(3):
        waiting(queue, number, "a", "normal", 0.0)
    other = waiting(queue, 3, "a", "normal", 1.0, vram_mb=5)
    (key, group), (_, other_group) = queue.active.items()
    turns = LotTurns(queue, [(0, group, 3), (1, other_group, 1)], 1.0)
    first = turns.next()
    assert first is not None and first.lot == 0
    turns.close(0)
    second = turns.next()
    assert second is not None and second.record is other
    assert turns.next() is None
    turns.put_back()
    assert len(group) == 3 and key == group.key and all(map(group.filed, group.lines.values()))
