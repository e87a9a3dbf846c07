"""Jobs that crash their worker: what they cost others is a second try, and nobody else's attempt or end."""

from __future__ import annotations

from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.auction.turns import Urgency
from pocket3d.coordinator.engine import effects
from support.coordinator_desk import AgentDouble, Desk, offer

S = JobState


def crowd(desk: Desk, agent: AgentDouble, *job_ids: str) -> dict[str, effects.AwardItem]:
    """Jobs that run beside each other on one worker."""
    desk.hear(agent)
    items = {}
    for job_id in job_ids:
        desk.submit(job_id)
        items[job_id] = desk.win(agent, job_id, slots=4)
        desk.accept(agent, items[job_id])
        desk.started(agent, items[job_id])
    return items


def crash(desk: Desk, agent: AgentDouble, items: dict[str, effects.AwardItem]) -> None:
    """Their worker ends under them."""
    for item in items.values():
        desk.failed(agent, item, "worker_crashed", beside=len(items) - 1)
    desk.hear(agent)


def wide() -> AgentDouble:
    return AgentDouble(adapters=[offer(max_concurrent=4)])


def test_a_crash_under_several_jobs_costs_none_an_attempt_and_benches_nothing() -> None:
    desk, agent = Desk(bench_after=2), wide()
    crash(desk, agent, crowd(desk, agent, "poison", "good", "bystander"))
    for job_id in ("poison", "good", "bystander"):
        record = desk.record(job_id)
        assert record.state is S.QUEUED
        assert record.retry is not None
        assert (record.retry.spent, record.retry.attempts[0].counted) == (0, False)
    assert desk.engine.core.fleet.shut_out(desk.engine.core.fleet.agents["a1"], desk.mono) == []


def test_the_suspects_are_tried_one_by_one_and_the_one_that_crashes_alone_pays() -> None:
    desk, agent = Desk(), wide()
    crash(desk, agent, crowd(desk, agent, "poison", "good"))
    first = desk.win(agent, "poison", slots=4)
    assert desk.state("good") is S.QUEUED, "it would not be alone"
    desk.accept(agent, first)
    desk.submit("fresh")
    desk.answer_calls(agent, slots=3)
    assert desk.state("fresh") is S.QUEUED, "the suspect has its worker for itself"
    desk.failed(agent, first, "worker_crashed")
    retry = desk.record("poison").retry
    assert retry is not None
    assert retry.spent == 1
    desk.hear(agent)
    desk.until(effects.SendCall, agent)
    desk.answer_calls(agent, slots=4)
    running = [each for each in ("good", "fresh") if desk.state(each) is S.AWARDED]
    assert running, "the others go on"


def test_a_job_counts_once_for_a_bench_however_often_it_fails() -> None:
    desk, agent = Desk(bench_after=2), wide()
    desk.hear(agent)
    desk.submit("poison", retry={"max_attempts": 5, "initial_s": 0.1, "factor": 1.0})
    for _ in range(4):
        desk.until(effects.SendCall, agent)
        desk.failed(agent, desk.win(agent, "poison"), "worker_crashed")
        desk.hear(agent)
    assert desk.engine.core.fleet.shut_out(desk.engine.core.fleet.agents["a1"], desk.mono) == []


def test_a_job_that_failed_stands_behind_those_that_wait() -> None:
    desk, agent = Desk(), wide()
    desk.hear(agent)
    desk.submit("failing", retry={"initial_s": 0.1})
    item = desk.win(agent, "failing")
    desk.submit("waiting")
    desk.answer_calls(agent, slots=0, est_queue_s=5.0)
    desk.tick(0.5)
    desk.failed(agent, item, "adapter_error")
    desk.tick(0.5)
    queue = desk.engine.core.queue

    def urgency(job_id: str) -> Urgency:
        group = queue.group_of(desk.record(job_id).group_key())
        assert group is not None
        return queue.urgency(group.lines["default"], desk.mono)

    assert urgency("waiting") < urgency("failing"), "one tenant's jobs go by their urgency, whatever group they are in"
