"""Who waits in which order: groups, priorities, ageing, pauses, parking."""

from __future__ import annotations

import gc
import time

import pytest

from pocket3d.contracts.jobs import Admission, Job
from pocket3d.contracts.lifecycle import Priority
from pocket3d.coordinator.auction.fair_share import Cost
from pocket3d.coordinator.auction.queue import WaitingQueue
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.job import JobClass, JobRecord
from support.coordinator_desk import AgentDouble, Desk, device, offer


def waiting(
    job_id: str,
    *,
    priority: Priority = "normal",
    queued_at: float = 0.0,
    vram_mb: int | None = None,
    tenant: str = "default",
) -> JobRecord:
    job = Job(inputs={}, vram_mb=vram_mb, tenant=tenant)
    record = JobRecord(int(job_id[1:]), job_id, JobClass.of("echo", "echo", priority, job), 0.0, 0.0)
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


@pytest.mark.parametrize("removed", range(7))
def test_pauses_end_in_their_order_whichever_job_is_removed_meanwhile(removed: int) -> None:
    queue = WaitingQueue(ageing_s=120)
    pauses = (1.0, 9.0, 2.0, 11.0, 10.0, 2.0, 3.0)
    records = [waiting(f"j{number}") for number in range(len(pauses))]
    for record, pause in zip(records, pauses, strict=True):
        record.not_before = pause
        queue.add(record, 0.0)
    queue.remove(records[removed])
    for now in range(12):
        queue.release_due(float(now))
        ended = [f"j{place}" for place, pause in enumerate(pauses) if pause <= now and place != removed]
        assert sorted(order(queue, float(now))) == ended
    released = [record.job_id for record in queue]
    assert released == sorted(released, key=lambda job_id: (pauses[int(job_id[1:])], job_id))


def test_of_jobs_whose_pauses_end_together_that_one_is_first_which_began_first() -> None:
    queue = WaitingQueue(ageing_s=120)
    for number in (3, 1, 2):
        record = waiting(f"j{number}")
        record.not_before = 5.0
        queue.add(record, 0.0)
    queue.release_due(5.0)
    assert order(queue, 5.0) == ["j3", "j1", "j2"]


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
    group.sleep(0)
    queue.unpark_all()
    assert order(queue, 0.0) == ["j1", "j2"], "it is tried though the fleet's version may be the same"
    assert not group.unschedulable


# ---------------------------------------------------------------- tenants of one group


def test_a_line_whose_last_job_left_has_no_turn_and_its_tenant_waits_no_more() -> None:
    queue = WaitingQueue(ageing_s=120)
    records = [waiting(f"j{number}", tenant=tenant) for number, tenant in enumerate("abc")]
    for record in records:
        queue.add(record, 0.0)
    group = queue.group_of(records[0].group_key())
    assert group is not None
    for gone, left in (("a", "bc"), ("b", "c")):
        queue.remove(records["abc".index(gone)])
        line = group.first_line()
        assert line is not None and line.flow.account.tenant == left[0]
        assert set(queue.share.accounts) == set(left)
        assert [flow.waiting for flow in queue.share.clocks[1].flows.values()] == [1] * len(left)
    queue.remove(records[2])
    assert (queue.share.accounts, queue.share.clocks[1].busy) == ({}, 0)


def test_a_tenant_whose_job_took_less_than_expected_is_sooner_next_in_each_group() -> None:
    queue = WaitingQueue(ageing_s=120)
    records = [
        waiting(f"j{number}", tenant=tenant, vram_mb=vram_mb)
        for number, (tenant, vram_mb) in enumerate((t, mb) for mb in (5, 6) for t in "ab")
    ]
    for record in records:
        queue.add(record, 0.0)
    groups = list(queue.active.values())
    flows = queue.share.clocks[1].flows
    charge = queue.share.start(flows["a"], 1, Cost(100.0, 1.0))
    queue.share.start(flows["b"], 1, Cost(50.0, 1.0))

    def turns() -> list[list[str]]:
        found = []
        for group in groups:
            lines = []
            while (line := group.take_line()) is not None:
                lines.append(line)
            for line in lines:
                group.file(line)
            found.append([line.flow.account.tenant for line in lines])
        return found

    assert turns() == [["b", "a"], ["b", "a"]]
    queue.share.settle(charge, 1.0)
    assert turns() == [["a", "b"], ["a", "b"]]


def test_turns_keep_their_order_however_often_one_of_them_came_nearer() -> None:
    queue = WaitingQueue(ageing_s=120)
    records = [waiting(f"j{number}", tenant=tenant) for number, tenant in enumerate("abcdefg")]
    for record in records:
        queue.add(record, 0.0)
    group = queue.group_of(records[0].group_key())
    assert group is not None
    for cost, tenant in enumerate("gfedcba"):
        queue.share.start(queue.share.clocks[1].flows[tenant], 1, Cost(1.0 + cost, 1.0))
    for line in group.lines.values():
        group.file(line)
    for _ in range(200):
        group.file(group.lines["d"])
    lines = list(iter(group.take_line, None))
    assert [line.flow.account.tenant for line in lines if line is not None] == list("gfedcba")


def test_what_a_group_remembers_follows_the_tenants_that_wait_in_it() -> None:
    queue = WaitingQueue(ageing_s=120)
    stays = waiting("j0", tenant="stays")
    queue.add(stays, 0.0)
    group = queue.group_of(stays.group_key())
    assert group is not None
    for number in range(1, 1000):
        record = waiting(f"j{number}", tenant=f"t{number}")
        queue.add(record, 0.0)
        charge = queue.share.start(queue.share.clocks[1].flows["stays"], 1, Cost(9.0, 1.0))
        queue.share.settle(charge, 1.0)
        queue.remove(record)
    assert (len(group.lines), len(queue._shared)) == (1, 0)
    assert len(group._heap) < 100
    assert group.first_line() is group.lines["stays"]
    assert group.take_line() is group.lines["stays"]
    assert group.take_line() is None


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
