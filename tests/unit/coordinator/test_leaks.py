"""What the engine remembers follows what there is now, never what there was: each test counts after many have gone."""

from __future__ import annotations

from pocket3d.contracts.commands import BidPlaced, Reason
from pocket3d.contracts.messages import AdapterOffer
from pocket3d.coordinator.auction.bid_cache import BidCache
from pocket3d.coordinator.auction.planning import LotBid
from pocket3d.coordinator.engine import events
from pocket3d.coordinator.engine.deadlines import Deadlines
from pocket3d.coordinator.engine.job import GroupKey
from support.coordinator_desk import AgentDouble, Desk, offer

MANY = 3000


def end(desk: Desk, job_id: str) -> None:
    """The job is cancelled and forgotten."""
    desk.do(events.CancelAsked(job_id, None))
    desk.do(events.ResultSeen(desk.record(job_id).proposal, 1))  # type: ignore[arg-type]
    desk.close(job_id)
    desk.effects.clear()


def test_jobs_that_ended_leave_no_deadline_behind() -> None:
    desk = Desk()
    for number in range(MANY):
        desk.submit(f"j{number}", limits={"schedule_to_start_s": 86_400})
        end(desk, f"j{number}")
    assert len(desk.engine.core.deadlines) < 200


def test_deadlines_of_jobs_that_all_leave_at_once_go_with_them() -> None:
    deadlines = Deadlines()
    for number in range(MANY):
        deadlines.set(f"j{number}", float(number))
    for number in range(MANY):
        deadlines.forget(f"j{number}")
        assert len(deadlines) <= 2 * (MANY - number) + 64
    deadlines.forget("nobody")
    assert deadlines.passed(1e9) == []


def test_a_deadline_has_passed_at_its_very_moment_and_only_once() -> None:
    deadlines = Deadlines()
    for job_id in ("a", "b", "c"):
        deadlines.set(job_id, 5.0)
    assert deadlines.passed(4.999) == []
    assert deadlines.passed(5.0, most=0) == []
    assert deadlines.passed(5.0, most=2) == ["a", "b"]
    assert deadlines.passed(5.0) == ["c"]
    assert deadlines.passed(5.0) == []


def test_the_latest_deadline_that_was_set_is_the_one_that_holds() -> None:
    deadlines = Deadlines()
    deadlines.set("later", 5.0)
    deadlines.set("later", 9.0)
    deadlines.set("sooner", 9.0)
    deadlines.set("sooner", 5.0)
    assert deadlines.passed(5.0) == ["sooner"]
    assert deadlines.passed(9.0) == ["later"]


def test_deadlines_pass_in_order_whatever_left_before() -> None:
    deadlines = Deadlines()
    for number in range(MANY):
        deadlines.set(f"j{number}", float(MANY - number))
    for number in range(0, MANY, 2):
        deadlines.forget(f"j{number}")
    deadlines.set("j1", 0.5)
    deadlines.postpone(100.0)
    assert deadlines.passed(100.0) == []
    assert deadlines.passed(104.0) == ["j1", f"j{MANY - 1}", f"j{MANY - 3}"]
    assert deadlines.of("j1") == float("inf")
    assert len(deadlines.passed(1e9)) == MANY // 2 - 3
    assert len(deadlines) == 0


def test_job_classes_without_a_job_are_forgotten() -> None:
    desk = Desk()
    desk.submit("stays", tenant="stays")
    for number in range(MANY):
        desk.submit(f"j{number}", tenant=f"t{number}")
        end(desk, f"j{number}")
    core = desk.engine.core
    assert len(core._classes) < 1100
    kept = desk.record("stays").job_class
    assert core.intern(kept._replace()) is kept, "equal classes are still one object"


def test_benches_of_agents_that_never_return_are_forgotten(desk: Desk, agent: AgentDouble) -> None:
    fleet = desk.engine.core.fleet
    desk.hear(agent)
    for number in range(MANY):
        fleet.benches.note_failure(f"gone-{number}", "d", "echo", "j1", desk.mono)
    fleet.benches.note_failure("a1", "d", "echo", "j1", desk.mono)
    desk.mono += desk.settings.bench_cap_s - 1
    fleet.release_benches(desk.mono)
    assert len(fleet.benches) == 2 * (MANY + 1), "an agent that is only being restarted finds its bench again"
    desk.mono += 1
    fleet.release_benches(desk.mono)
    assert len(fleet.benches) == 2


def test_offers_for_kinds_of_jobs_that_came_once_are_forgotten(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    offers = BidCache(desk.engine.core.queue, desk.engine.core.fleet, assumed_run_s=30.0)
    bid = BidPlaced(
        lot=0, adapter_id="echo", device="fixed-0", claim_mb=0, slots=1, est_queue_s=0, est_load_s=0, stands=True
    )
    keys = [GroupKey("normal", "echo", None, vram_mb, frozenset()) for vram_mb in range(MANY)]
    for key in keys:
        offers.note(key, [LotBid("a1", bid, 0, 1.0, 0)], desk.mono)
    assert len(offers) <= 256
    assert offers.for_lot(keys[-1], desk.mono) is not None
    assert offers.for_lot(keys[0], desk.mono) is None


def test_broken_choices_that_no_job_waits_for_are_forgotten(desk: Desk) -> None:
    broken: AdapterOffer = offer("broken", available=False, reason="no torch")
    desk.hear(AgentDouble(adapters=[broken]))
    most = 0
    for number in range(300):
        desk.submit(f"j{number}", model_preference=["broken", f"other{number}"])
        end(desk, f"j{number}")
        most = max(most, len(desk.engine.core.auctioneer.unavailable))
    assert most == 257, "the next one after 256 are remembered looks which of them are wanted"


def test_jobs_that_ended_are_listed_nowhere_but_among_the_ended(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    jobs = desk.engine.core.job_list
    for number in range(9):
        desk.submit(f"j{number}", tenant=f"t{number}")
        end(desk, f"j{number}")
    assert jobs.ended_count == 9
    assert not any(jobs._in_state.values())
    assert set(jobs._unfinished.of) == {("all", "")}


def test_what_agents_declined_is_forgotten_with_them(desk: Desk) -> None:
    desk.submit(vram_mb=3000)
    busy = Reason(agent_id="a", code="vram_busy", device="fixed-0", need_mb=3000, have_mb=500, short_mb=2500)
    for number in range(9):
        agent = AgentDouble(f"a{number}")
        desk.hear(agent)
        desk.answer_calls(agent, declines={agent.agent_id: busy})
        for _ in range(2):
            desk.do(events.AgentSilent(agent.agent_id, no_responders=True))
    declines = desk.engine.core.auctioneer._declines
    assert desk.engine.core.fleet.agents == {} and declines._of == {}
