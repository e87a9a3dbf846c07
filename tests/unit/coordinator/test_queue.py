"""Who waits in which order: groups, priorities, ageing, pauses, parking."""

from __future__ import annotations

import gc
import time

import pytest

from pocket3d.contracts.jobs import Admission, Job
from pocket3d.contracts.lifecycle import Priority
from pocket3d.coordinator.auction.queue import WaitingQueue
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.job import JobClass, JobRecord
from support.coordinator_desk import AgentDouble, Desk, device, offer


def waiting(
    job_id: str, *, priority: Priority = "normal", queued_at: float = 0.0, vram_mb: int | None = None
) -> JobRecord:
    record = JobRecord(
        int(job_id[1:]), job_id, JobClass.of("echo", "echo", priority, Job(inputs={}, vram_mb=vram_mb)), 0.0, 0.0
    )
    record.queued_at = queued_at
    return record


def order(queue: WaitingQueue, now: float) -> list[str]:
    return [record.job_id for group in queue.in_order(now, 0) for record in group]


def test_priorities_first_then_age() -> None:
    queue = WaitingQueue(ageing_s=120)
    queue.add(waiting("j1", priority="low"), 0.0)
    queue.add(waiting("j2", priority="normal", queued_at=1.0), 1.0)
    queue.add(waiting("j3", priority="normal", queued_at=2.0, vram_mb=5), 2.0)
    queue.add(waiting("j4", priority="high", queued_at=3.0), 3.0)
    assert order(queue, 10.0) == ["j4", "j2", "j3", "j1"]


def test_a_job_rises_one_level_per_ageing_time() -> None:
    queue = WaitingQueue(ageing_s=120)
    queue.add(waiting("j1", priority="low"), 0.0)
    queue.add(waiting("j2", priority="high", queued_at=100.0), 100.0)
    assert order(queue, 119.0) == ["j2", "j1"]
    queue.add(waiting("j3", priority="normal", queued_at=121.0), 121.0)
    assert order(queue, 121.0) == ["j2", "j1", "j3"], "as urgent as normal, and older"
    queue.add(waiting("j4", priority="high", queued_at=241.0, vram_mb=5), 241.0)
    assert order(queue, 241.0) == ["j2", "j1", "j3", "j4"]


def test_what_comes_back_from_an_attempt_comes_first() -> None:
    queue = WaitingQueue(ageing_s=120)
    queue.add(waiting("j1"), 0.0)
    queue.add(waiting("j2"), 0.0)
    queue.add(waiting("j3"), 0.0, returned=True)
    assert order(queue, 0.0) == ["j3", "j1", "j2"]


def test_a_pause_keeps_a_job_out_of_its_group_until_it_is_over() -> None:
    queue = WaitingQueue(ageing_s=120)
    late = waiting("j1")
    late.not_before = 5.0
    queue.add(late, 0.0)
    assert order(queue, 0.0) == []
    assert queue.count == 1
    assert not queue.release_due(4.9)
    assert queue.release_due(5.0)
    assert order(queue, 5.0) == ["j1"]
    assert not queue.release_due(99.0)


def test_a_pause_that_is_over_now_keeps_nothing_out() -> None:
    queue = WaitingQueue(ageing_s=120)
    record = waiting("j1")
    record.not_before = 5.0
    queue.add(record, 5.0)
    assert order(queue, 5.0) == ["j1"]


def test_removing_takes_a_job_out_wherever_it_waits() -> None:
    queue = WaitingQueue(ageing_s=120)
    front, back, paused = waiting("j1"), waiting("j2"), waiting("j3")
    paused.not_before = 9.0
    queue.add(front, 0.0, returned=True)
    queue.add(back, 0.0)
    queue.add(paused, 0.0)
    for record in (paused, front, back):
        queue.remove(record)
    assert queue.count == 0
    assert not queue.active
    assert not queue.release_due(99.0)
    queue.remove(front)
    assert queue.count == 0, "of one that is not there: nothing"


def test_parked_groups_come_back_together() -> None:
    queue = WaitingQueue(ageing_s=120)
    record = waiting("j1")
    queue.add(record, 0.0)
    (group,) = queue.in_order(0.0, 0)
    queue.park(group)
    queue.add(waiting("j2"), 0.0)
    assert order(queue, 0.0) == [], "a job of a parked kind waits with its group"
    assert queue.group_of(record.group_key()) is group
    queue.unpark_all()
    assert order(queue, 0.0) == ["j1", "j2"]


def crowded(jobs: int, *, one_kind: bool) -> tuple[Desk, AgentDouble]:
    """So many jobs that fit nowhere, then a small one; nobody has been invited yet."""
    desk = Desk()
    for number in range(jobs):
        job_id = f"big{number}"
        vram_mb = 10_000 if one_kind else 10_000 + number
        admission = Admission(job_id, Job(inputs={}, vram_mb=vram_mb), None)
        # Not by `Desk.do`: its check looks at every job after every event.
        desk.engine.handle(events.JobRead(number + 1, "normal", "echo", admission, desk.now.wall), desk.now)
        desk.engine.handle(events.QueuedStored(job_id), desk.now)
    desk.submit("small", seq=jobs + 1)
    return desk, AgentDouble(devices=[device(total_mb=8000)], adapters=[offer("small", "echo", 1000)])


@pytest.mark.parametrize("one_kind", [True, False], ids=["one lot", "a lot each"])
def test_a_small_job_is_awarded_in_the_first_round_past_many_that_fit_nowhere(one_kind: bool) -> None:
    # Many more than a round has places; past 50,000 of them in 2000 kinds: tests/e2e/test_capacity.py.
    desk, agent = crowded(10_000, one_kind=one_kind)
    desk.hear(agent)
    assert desk.win(agent, "small").job_id == "small"
    assert len(desk.engine.core.queue.unschedulable) == (1 if one_kind else 10_000)
    reasons = desk.engine.core.queue.group_of(desk.record("big0").group_key())
    assert reasons is not None
    (reason,) = reasons.reasons["a1"]
    assert (reason.code, reason.need_mb, reason.have_mb, reason.short_mb) == ("vram_total", 10_000, 8000, 2000)


def test_parking_costs_what_the_number_of_kinds_costs_and_only_once() -> None:
    def seconds(jobs: int) -> tuple[float, float]:
        desk, agent = crowded(jobs, one_kind=False)
        # What other tests left behind is not looked through meanwhile.
        gc.disable()
        try:
            start = time.process_time()
            desk.engine.handle(events.AdvertReceived(agent.advert()), desk.now)
            unschedulable = time.process_time()
            desk.engine.handle(events.AdvertReceived(agent.advert()), desk.now)
            return unschedulable - start, time.process_time() - unschedulable
        finally:
            gc.enable()

    few = min(seconds(1_000)[0] for _ in range(3))
    many, again = min(seconds(10_000) for _ in range(2))
    assert many < 3 * 10 * few
    assert again < few, "parked groups are not looked at again while the fleet stays what it is"


def test_a_parked_kind_is_awarded_when_a_big_enough_agent_joins(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit("j1", vram_mb=9000)
    assert desk.take(effects.SendCall) == []
    big = AgentDouble("a2", devices=[device(total_mb=24_000)])
    desk.hear(big)
    assert desk.win(big).device == "fixed-0"


def test_a_large_kind_that_waits_for_room_leaves_places_in_the_round_to_others(agent: AgentDouble) -> None:
    desk = Desk(jobs_per_lot=4)
    for number in range(10):
        desk.submit(f"big{number}", vram_mb=7000)
    desk.submit("small", vram_mb=100)
    desk.hear(agent)
    (call,) = [e for e in desk.effects if isinstance(e, effects.SendCall)]
    assert [(lot.vram_mb, lot.jobs) for lot in call.lots] == [(7000, 4), (100, 1)]


def test_a_kind_that_is_woken_is_tried_again_whatever_the_fleet_does(desk: Desk) -> None:
    desk.submit()
    group = desk.engine.core.queue.group_of(desk.record().group_key())
    assert group is not None
    group.sleep(5)
    assert group.sleeps(5, desk.mono)
    group.wake()
    assert not group.sleeps(5, desk.mono)
