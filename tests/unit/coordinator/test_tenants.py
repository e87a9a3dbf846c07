"""Tenants in the engine: whose job takes the next slot, at what price, who is refused, and what `explain` says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from pocket3d.bus import topology
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import ServiceError
from pocket3d.contracts.jobs import Admission, Job
from pocket3d.contracts.lifecycle import JobState, Priority
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.auction.queue import JobGroup, Line
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain, explain_turn
from pocket3d.coordinator.engine.submit_quota import READ_WITHIN_S, SubmitQuota
from pocket3d.coordinator.settings import TenantSettings
from support.coordinator_desk import AgentDouble, Desk, device, last_status, offer
from unit.coordinator.test_api import asks


def leader(tenants: dict[str, dict[str, Any]]) -> Desk:
    return Desk(tenants=msgspec.convert(tenants, dict[str, TenantSettings]))


def one_slot() -> AgentDouble:
    return AgentDouble(devices=[device(total_mb=1000)], adapters=[offer("echo", "echo", 1000)])


def backlog(desk: Desk, tenant: str, count: int, *, start: int = 0, **job: Any) -> None:
    for number in range(start, start + count):
        desk.submit(f"{tenant}{number}", tenant=tenant, **job)


class Slot:
    """An agent that runs one job at a time."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.agent = one_slot()
        desk.hear(self.agent)
        self.item: effects.AwardItem | None = None

    def serve(self, seconds: float = 10.0, **bid: Any) -> str:
        """End what runs after so many seconds, and let the next job win; its id."""
        desk, agent = self.desk, self.agent
        if self.item is not None:
            for _ in range(int(seconds)):
                desk.tick(1.0)
                desk.hear(agent, full=False)
            agent.running = []
            desk.see(desk.result_of(self.item, agent), seq=100 + desk.ack_seqs)
            desk.close(self.item.job_id)
            desk.ack_seqs += 1
            desk.effects = [e for e in desk.effects if isinstance(e, effects.SendCall)]
        desk.hear(agent, full=False)
        desk.answer_calls(agent, **{"est_load_s": 0.0, "est_run_s": 10.0, **bid})
        (sent,) = desk.take(effects.SendAwards)
        (self.item,) = sent.awards
        desk.accept(agent, self.item)
        return self.item.job_id

    def order(self, count: int, seconds: float = 10.0) -> list[str]:
        return [self.serve(seconds) for _ in range(count)]


def tenants_of(job_ids: Iterable[str]) -> str:
    return "".join(job_id[0] for job_id in job_ids)


@pytest.mark.parametrize("waited_s", [0.0, 1000.0], ids=["fresh", "aged"])
@pytest.mark.parametrize("kind", [{}, {"vram_mb": 900}], ids=["the same kind", "another kind"])
def test_one_job_of_another_tenant_takes_the_next_slot_past_a_backlog(waited_s: float, kind: dict[str, Any]) -> None:
    desk = Desk()
    backlog(desk, "a", 100, age_s=waited_s)
    slot = Slot(desk)
    assert tenants_of(slot.order(3)) == "aaa"
    desk.submit("b0", tenant="b", **kind)
    assert slot.order(3) == ["b0", "a3", "a4"]


def test_jobs_of_one_round_are_placed_turn_by_turn_over_all_its_lots() -> None:
    desk = Desk()
    backlog(desk, "a", 10)
    backlog(desk, "b", 10, vram_mb=1001)
    backlog(desk, "c", 10)
    agent = AgentDouble(devices=[device(total_mb=9000)], adapters=[offer("echo", "echo", 1000, max_concurrent=9)])
    desk.hear(agent)
    desk.answer_calls(agent, slots=9, max_concurrent=9, claim_mb=0)
    won = [item.job_id for sent in desk.take(effects.SendAwards) for item in sent.awards]
    assert sorted(tenants_of(won)) == list("aaabbbccc")
    assert [job_id for job_id in won if job_id[0] == "a"] == ["a0", "a1", "a2"]


def test_who_has_run_longer_than_said_waits_for_it() -> None:
    desk = Desk()
    backlog(desk, "a", 20)
    backlog(desk, "b", 20)
    slot = Slot(desk)
    assert slot.serve() == "a0"
    # It was said to take 10 s.
    assert tenants_of([slot.serve(40.0), *slot.order(6)]) == "bbbbaba"


def test_a_declined_award_costs_its_tenant_nothing() -> None:
    desk = Desk()
    backlog(desk, "a", 2)
    agent = one_slot()
    desk.hear(agent)
    item = desk.win(agent, "a0", est_run_s=1000.0)
    account = desk.engine.core.queue.share.accounts["a"]
    assert account.running == 1
    assert account.flows[1].rank.tag > 1000.0
    desk.decline(agent, item)
    assert account.running == 0
    assert account.flows[1].rank.tag == 0.0


def test_no_bid_is_believed_beyond_what_the_job_may_take() -> None:
    desk = Desk()
    backlog(desk, "a", 2, limits={"load_s": 5.0, "start_to_close_s": 20.0})
    agent = one_slot()
    desk.hear(agent)
    desk.win(agent, "a0", est_run_s=1e9)
    assert desk.engine.core.queue.share.accounts["a"].flows[1].rank.tag == 25.0


def high(desk: Desk, job_id: str, priority: Priority = "high", **job: Any) -> None:
    desk.submit(job_id, tenant=job_id[0], priority=priority, **job)


def test_a_high_job_goes_before_the_aged_backlog_of_another_tenant() -> None:
    desk = Desk()
    backlog(desk, "a", 50, age_s=1000.0)
    slot = Slot(desk)
    slot.order(5)
    high(desk, "c0")
    assert slot.order(2) == ["c0", "a5"]


def test_aged_jobs_share_with_more_urgent_ones_of_others_and_are_not_starved() -> None:
    desk = Desk()
    backlog(desk, "a", 50, age_s=1000.0)
    for number in range(50):
        high(desk, f"c{number}")
    slot = Slot(desk)
    order = tenants_of(slot.order(20))
    assert order == "ca" * 10, "they have risen to it, and take their tenant's turns"


def test_a_job_of_the_lowest_priority_starts_after_two_ageing_times_and_a_turn_of_each_other_tenant() -> None:
    desk = Desk(ageing_s=20.0, hold_after_s=1e9)
    for number in range(50):
        high(desk, f"c{number}")
        high(desk, f"n{number}", "normal")
    high(desk, "l0", "low")
    slot = Slot(desk)
    order = slot.order(10)
    assert "l0" in order[:7], "within 2 x 20 s and the turns of c and n there, with jobs of 10 s"
    assert "l0" not in order[:4], "not before it has risen"


def test_what_has_not_aged_waits_for_more_urgent_jobs() -> None:
    desk = Desk()
    backlog(desk, "a", 5)
    for number in range(5):
        high(desk, f"c{number}")
    slot = Slot(desk)
    assert tenants_of(slot.order(10, seconds=1.0)) == "cccccaaaaa"


def test_a_newcomer_of_the_same_priority_is_before_aged_jobs_even_where_they_have_risen() -> None:
    desk = Desk(hold_after_s=1e9)
    backlog(desk, "a", 50, age_s=1000.0)
    slot = Slot(desk)
    slot.order(5)
    for number in range(3):
        high(desk, f"c{number}")
    desk.submit("b0", tenant="b")
    assert slot.order(4) == ["c0", "c1", "c2", "b0"], "b is next among the normal ones, and has not risen"
    assert tenants_of(slot.order(3)) == "aaa"


def test_within_a_tenant_urgency_and_age_count_as_ever() -> None:
    desk = Desk()
    desk.submit("a0", tenant="a", priority="low", age_s=1000.0)
    desk.submit("a1", tenant="a", priority="normal")
    desk.submit("a2", tenant="a", priority="high")
    desk.submit("b0", tenant="b")
    slot = Slot(desk)
    assert [job for job in slot.order(4) if job[0] == "a"] == ["a0", "a2", "a1"]


@pytest.mark.parametrize(("tenant", "placed"), [("a", []), ("b", ["b9"])])
def test_a_device_that_is_held_is_held_against_those_whose_turn_comes_later(tenant: str, placed: list[str]) -> None:
    desk = Desk()
    agent = AgentDouble(adapters=[offer("echo", "echo", 7000), offer("tiny", "text_to_mesh", 500)])
    desk.hear(agent)
    backlog(desk, "a", 2, age_s=1000.0)
    desk.accept(agent, desk.win(agent, "a0", est_run_s=20.0))
    desk.hear(agent, full=False)
    desk.answer_calls(agent, slots=0, est_queue_s=20.0)
    hold = desk.engine.core.auctioneer.backfill.hold
    assert hold is not None
    assert (hold.job_id, hold.tenant) == ("a1", "a")
    desk.submit(f"{tenant}9", tenant=tenant, feature="text_to_mesh", inputs={"text_prompt": "a chair"})
    desk.answer_calls(agent, est_run_s=1000.0)
    assert [
        item.job_id for sent in desk.take(effects.SendAwards) for item in sent.awards if "9" in item.job_id
    ] == placed


def test_no_device_is_held_for_a_tenant_that_may_start_nothing_more() -> None:
    desk = leader({"a": {"max_running": 1}})
    agent = AgentDouble(adapters=[offer("echo", "echo", 7000), offer("tiny", "text_to_mesh", 500)])
    desk.hear(agent)
    desk.submit("a0", tenant="a", age_s=61.0)
    desk.answer_calls(agent, slots=0, est_queue_s=20.0)
    assert desk.engine.core.auctioneer.backfill.hold is not None
    for job_id in ("a1", "z1"):
        desk.submit(job_id, tenant=job_id[0], feature="text_to_mesh", inputs={"text_prompt": "a chair"}, priority="low")
    # a1 ends before the device is wanted, and uses up what its tenant may have; z1 does not end in time.
    desk.answer_calls(agent, est_load_s=0.0, est_run_s=15.0, slots=2, max_concurrent=2)
    first = [item.job_id for sent in desk.take(effects.SendAwards) for item in sent.awards]
    desk.hear(agent, full=False)
    desk.tick(10.0)
    desk.hear(agent, full=False)
    desk.answer_calls(agent, est_load_s=0.0, est_run_s=1000.0)
    then = [item.job_id for sent in desk.take(effects.SendAwards) for item in sent.awards]
    assert "a1" in first
    assert "z1" in [*first, *then]


def test_a_large_job_whose_turn_it_is_keeps_its_device_from_newcomers() -> None:
    desk = Desk()
    agent = AgentDouble(adapters=[offer("echo", "echo", 7000), offer("tiny", "text_to_mesh", 500)])
    desk.hear(agent)
    desk.submit("large", tenant="l", age_s=61.0)
    desk.answer_calls(agent, slots=0, est_queue_s=20.0)
    assert desk.engine.core.auctioneer.backfill.hold is not None
    for tenant in "bcd":
        desk.submit(f"{tenant}9", tenant=tenant, feature="text_to_mesh", inputs={"text_prompt": "a chair"})
        desk.answer_calls(agent, est_run_s=1000.0)
    assert desk.take(effects.SendAwards) == []


def test_no_more_than_max_running_are_out_and_others_use_what_is_left() -> None:
    desk = leader({"a": {"max_running": 2}})
    backlog(desk, "a", 10)
    agent = AgentDouble(devices=[device(total_mb=9000)], adapters=[offer("echo", "echo", 1000, max_concurrent=9)])
    desk.hear(agent)
    bid: dict[str, Any] = {"max_concurrent": 9, "claim_mb": 0}
    desk.answer_calls(agent, slots=9, **bid)
    (sent,) = desk.take(effects.SendAwards)
    assert [item.job_id for item in sent.awards] == ["a0", "a1"]
    desk.accept(agent, *sent.awards)
    assert explain(desk.engine.core, desk.record("a2"), desk.now).summary == (
        "its tenant a has 2 jobs out on agents, as many as it may (max_running)"
    )
    desk.hear(agent, full=False)
    assert desk.take(effects.SendCall) == [], "nobody is called for what may not start"
    desk.submit("b0", tenant="b")
    desk.answer_calls(agent, slots=7, **bid)
    (other,) = desk.take(effects.SendAwards)
    assert [item.job_id for item in other.awards] == ["b0"]
    desk.see(desk.result_of(sent.awards[0], agent))
    desk.close("a0")
    desk.answer_calls(agent, slots=7, **bid)
    (third,) = desk.take(effects.SendAwards)
    assert [item.job_id for item in third.awards] == ["a2"]


def test_what_a_former_leader_started_counts_and_is_not_charged() -> None:
    desk = leader({"a": {"max_running": 1}})
    backlog(desk, "a", 2)
    desk.submit("b0", tenant="b")
    agent = one_slot()
    desk.hear(agent)
    item = desk.win(agent, "a0")
    other = leader({"a": {"max_running": 1}})
    other.submit("a0", tenant="a")
    other.submit("a1", tenant="a")
    agent.running = [agent.runs(item)]
    other.hear(agent)
    assert other.state("a0") is JobState.RUNNING
    account = other.engine.core.queue.share.accounts["a"]
    assert (account.running, account.at_limit) == (1, True)
    assert account.flows[1].rank.tag == 0.0


def test_a_decision_looks_at_the_lines_whose_turn_it_is_and_not_at_all_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    for number in range(5000):
        tenant = f"t{number}"
        admission = Admission(tenant, Job(inputs={}, tenant=tenant, vram_mb=1000 + number % 3), None)
        # Not by `Desk.do`: its check looks at every job after every event.
        desk.engine.handle(events.JobRead(number + 1, "normal", "echo", admission, desk.now.wall), desk.now)
        desk.engine.handle(events.QueuedStored(tenant), desk.now)
    taken: list[Line] = []
    real = JobGroup.take_line

    def take_line(group: JobGroup) -> Line | None:
        line = real(group)
        taken.extend([line] if line is not None else [])
        return line

    monkeypatch.setattr(JobGroup, "take_line", take_line)
    agent = AgentDouble(devices=[device(total_mb=9000)], adapters=[offer("echo", "echo", 1000, max_concurrent=9)])
    desk.hear(agent)
    desk.answer_calls(agent, slots=9, max_concurrent=9, claim_mb=0)
    won = [item.job_id for sent in desk.take(effects.SendAwards) for item in sent.awards]
    assert set(won) == {f"t{number}" for number in range(9)}
    # Two rounds, of three lots each: the next line of each, and one for each start.
    assert len(taken) < 40


# ---------------------------------------------------------------- refused


def test_a_published_job_beyond_max_queued_is_rejected_and_the_others_are_not() -> None:
    desk = leader({"*": {"max_queued": 2}, "b": {}})
    backlog(desk, "a", 2)
    desk.read("a2", tenant="a")
    desk.do(events.QueuedStored("a2"))
    result = desk.one(effects.StoreResult).result
    assert (result.job_id, result.status) == ("a2", "rejected")
    assert result.error is not None
    assert (result.error.code, result.error.field) == ("no_capacity", "tenant")
    assert result.error.message == "tenant a has 2 jobs that wait, and may have 2 (max_queued): submit it again later"
    backlog(desk, "b", 5)
    backlog(desk, "c", 2)
    assert {desk.state(job_id) for job_id in ("a0", "a1", "b4", "c1")} == {JobState.QUEUED}


def test_a_job_that_was_taken_before_a_takeover_is_not_refused_after_it() -> None:
    desk = leader({"*": {"max_queued": 1}})
    for number in range(3):
        desk.read(f"a{number}", tenant="a")
        desk.do(events.QueuedConflict(f"a{number}"))
        desk.do(events.LastEventRead(f"a{number}", last_status(f"a{number}", tenant="a"), number + 1))
    assert {desk.state(f"a{number}") for number in range(3)} == {JobState.QUEUED}


async def test_a_submit_beyond_max_queued_is_answered_with_429_though_the_jobs_before_it_were_not_read_yet() -> None:
    desk = leader({"a": {"max_queued": 2}})
    quota = SubmitQuota(desk.engine.core)

    def submit(job_id: str, seq: int) -> str | None:
        refusal = quota.refusal("a", desk.now.mono)
        if refusal is None:
            with quota.arriving("a") as arrival:
                arrival.stored = job_id, "normal", seq
        return refusal

    assert [submit("a1", 1), submit("a2", 2)] == [None, None]
    assert submit("a3", 3) is not None, "both are on their way"
    desk.submit("a1", seq=1, tenant="a")
    desk.read("a2", seq=2, tenant="a")
    assert submit("a3", 3) is not None, "one waits, of the other the first event is being stored"
    desk.do(events.QueuedStored("a2"))
    assert submit("a3", 3) is not None, "both wait"
    desk.do(events.CancelAsked("a1", None))
    assert submit("a3", 3) is None
    assert submit("a4", 4) is not None
    desk.submit("b1", seq=9, tenant="b")
    assert submit("a4", 4) is None, "a3 was read, and has ended: it is not known any more"


def test_a_submit_whose_message_was_removed_before_it_was_read_counts_for_a_while() -> None:
    desk = leader({"a": {"max_queued": 1}})
    quota = SubmitQuota(desk.engine.core)
    with quota.arriving("a") as arrival:
        arrival.stored = "a1", "normal", 1

    def full(after_s: float = 0.0) -> bool:
        desk.tick(after_s)
        return quota.refusal("a", desk.now.mono) is not None

    assert full()
    assert full(READ_WITHIN_S - 1.0), "it may yet be read"
    assert not full(2.0)


def test_a_submit_counts_as_long_as_reading_pauses() -> None:
    desk = Desk(tenants={"a": TenantSettings(max_queued=1)}, index_cap=10)
    quota = SubmitQuota(desk.engine.core)
    backlog(desk, "b", 10)
    with quota.arriving("a") as arrival:
        arrival.stored = "a1", "normal", 100
    for _ in range(3):
        assert quota.refusal("a", desk.now.mono) is not None
        desk.tick(READ_WITHIN_S)


async def test_a_submit_that_was_not_stored_does_not_count() -> None:
    desk = leader({"a": {"max_queued": 1}})
    quota = SubmitQuota(desk.engine.core)
    with pytest.raises(ServiceError), quota.arriving("a"):
        assert quota.refusal("a", desk.now.mono) is not None
        raise ServiceError(503, "not now")
    assert quota.refusal("a", desk.now.mono) is None


async def test_the_service_refuses_with_the_code_and_the_field() -> None:
    desk = leader({"a": {"max_queued": 0}})
    bus = MemoryBus(MemoryServer())
    await bus.ensure(topology.build(Subjects(), topology.TopologySettings()))
    request = {"feature": "echo", "inputs": {}, "tenant": "a", "job_id": "j1"}
    with pytest.raises(ServiceError) as refused:
        await asks(desk, "submit", request, bus)
    assert (refused.value.code, refused.value.field) == (429, "tenant")
    assert await asks(desk, "submit", {**request, "tenant": "b"}, bus)


# ---------------------------------------------------------------- told


def test_explain_tells_a_tenants_turn_and_who_is_before_it() -> None:
    desk = leader({"a": {"weight": 2, "max_running": 5}})
    slot = Slot(desk)
    backlog(desk, "a", 3)
    slot.serve()
    backlog(desk, "b", 1)
    backlog(desk, "c", 1)
    turn = explain_turn(desk.engine.core, desk.record("a2"), desk.now).turn
    assert turn is not None
    assert (turn.tenant, turn.place, turn.before, turn.own_before) == ("a", 3, ["b", "c"], 1)
    assert (turn.queued, turn.running, turn.max_running, turn.weight) == (2, 1, 5, 2.0)
    told = explain_turn(desk.engine.core, desk.record("a1"), desk.now)
    assert told.summary.endswith("; its tenant's turn comes after those of b, c")
    first = explain_turn(desk.engine.core, desk.record("b0"), desk.now)
    assert first.turn is not None
    assert (first.turn.place, first.turn.before) == (1, [])
    assert first.summary == explain(desk.engine.core, desk.record("b0"), desk.now).summary
    assert explain_turn(desk.engine.core, desk.record("a0"), desk.now).turn is None, "it runs"


def test_explain_names_eight_of_the_tenants_before_and_counts_the_others() -> None:
    desk = leader({})
    slot = Slot(desk)
    backlog(desk, "z", 2)
    slot.serve()
    for tenant in "abcdefghij":
        backlog(desk, tenant, 1)
    told = explain_turn(desk.engine.core, desk.record("z1"), desk.now)
    assert told.turn is not None
    assert (told.turn.place, told.turn.before) == (11, list("abcdefgh"))
    assert told.summary.endswith("after those of a, b, c, d, e, f, g, h and 2 more")


def test_explain_of_a_job_that_pauses_has_no_turn() -> None:
    desk = Desk()
    slot = Slot(desk)
    backlog(desk, "a", 1)
    slot.serve()
    assert slot.item is not None
    desk.failed(slot.agent, slot.item, "worker_crashed")
    told = explain_turn(desk.engine.core, desk.record("a0"), desk.now)
    assert told.turn is None
    assert told.summary.startswith("pauses ")
