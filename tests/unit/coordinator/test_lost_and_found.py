"""An attempt whose agent was taken for lost and comes back with it was not lost, and does not count as such."""

from __future__ import annotations

from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import RunningJob
from pocket3d.coordinator.auction.planning import Assignment
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.awards import send_awards
from support.coordinator_desk import AgentDouble, Desk, last_status

S = JobState


def cut(desk: Desk, *, answer: bool = True) -> None:
    """The agent is not heard for a lease; nothing is found in the results stream."""
    desk.tick(desk.settings.agent_lease_s + 1)
    assert "a1" not in desk.engine.core.fleet.agents
    if answer:
        assert desk.one(effects.ReadResult).job_id == "j1"
        desk.do(events.ResultRead("j1", None))


def spent(desk: Desk) -> int:
    retry = desk.record().retry
    return retry.spent if retry else 0


def test_a_link_that_is_cut_again_and_again_ends_no_job_that_runs_on(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent, retry={"max_attempts": 3})
    for _ in range(5):
        cut(desk)
        assert (desk.state(), spent(desk)) == (S.QUEUED, 1)
        desk.hear(agent)
        assert (desk.state(), spent(desk)) == (S.RUNNING, 0)
    assert desk.take(effects.StoreResult) == []
    assert desk.record().retry is not None and desk.record().retry.attempts == []  # type: ignore[union-attr]
    assert desk.published() == ["started", *["requeued", "started"] * 5]


def test_what_is_no_longer_lost_no_longer_shuts_its_agent_out(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    cut(desk)
    desk.hear(agent)
    other = AgentDouble("a2")
    desk.hear(other)
    desk.take(effects.SendCall)
    desk.failed(agent, item, "handed_back")
    assert {call.agent_id for call in desk.take(effects.SendCall)} == {"a1", "a2"}


def test_other_failures_of_the_same_agent_still_count(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first = desk.running(agent, retry={"initial_s": 0})
    desk.failed(agent, first, "load_failed")
    item = desk.win(agent)
    desk.accept(agent, item)
    desk.started(agent, item)
    cut(desk)
    assert spent(desk) == 2
    desk.hear(agent)
    retry = desk.record().retry
    assert retry is not None
    assert [error.code for error in retry.attempts] == ["load_failed"]
    assert (retry.spent, retry.excluded) == (1, {"a1"})


def test_an_agent_that_is_back_before_the_results_were_read_has_lost_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    cut(desk, answer=False)
    desk.hear(agent)
    desk.do(events.ResultRead("j1", None))
    assert (desk.state(), spent(desk)) == (S.RUNNING, 0)
    # It is watched as before: what it lists no more is looked for.
    agent.running = []
    desk.take(effects.ReadResult)
    desk.hear(agent)
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.do(events.ResultRead("j1", None))
    assert (desk.state(), spent(desk)) == (S.QUEUED, 1)
    assert item.token not in desk.engine.core.fleet.agents["a1"].attempts


def test_an_ending_that_waited_for_the_leadership_is_dropped_when_the_agent_turns_up(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    desk.running(agent, retry={"max_attempts": 1})
    cut(desk, answer=False)
    desk.sleep(30.0)
    desk.do(events.ResultRead("j1", None))
    assert desk.record().ending is not None
    desk.hear(agent)
    desk.do(events.LeadershipProven())
    assert desk.take(effects.StoreResult) == []
    assert (desk.state(), spent(desk)) == (S.RUNNING, 0)


def test_a_loss_that_a_former_leader_counted_is_taken_back_too(agent: AgentDouble) -> None:
    desk = Desk()
    agent.running = []
    desk.read("j1")
    desk.do(events.QueuedConflict("j1"))
    lost = {"attempt": 1, "agent_id": "a1", "device": "fixed-0", "code": "agent_lost", "message": "gone", "at": "x"}
    error = {"code": "agent_lost", "message": "gone", "attempts": [lost]}
    desk.do(events.LastEventRead("j1", last_status(attempt=1, error=error), 1))
    assert (desk.state(), spent(desk)) == (S.QUEUED, 1)
    item = effects.AwardItem("j1", 1, "echo", 1, "6-1", "echo", "fixed-0", None, 0.0, 0.0)
    agent.running = [agent.runs(item)]
    desk.hear(agent)
    assert (desk.state(), spent(desk)) == (S.RUNNING, 0)


def test_an_attempt_that_went_to_another_meanwhile_stays_lost(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)
    other = AgentDouble("a2")
    cut(desk)
    desk.hear(other)
    desk.win(other)
    desk.hear(agent)
    assert [cancel.reason for sent in desk.take(effects.SendCancels) for cancel in sent.cancels] == [
        "awarded to another"
    ]
    assert spent(desk) == 1


def test_an_award_to_an_agent_that_left_holds_up_no_other_one(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    for job_id in ("j1", "j2"):
        desk.submit(job_id)
    core = desk.engine.core
    assignments = [
        Assignment(desk.record(job_id), agent_id, "fixed-0", "echo", 1000, core.queue.share.runs_already("default"))
        for job_id, agent_id in (("j1", "gone"), ("j2", agent.agent_id))
    ]
    send_awards(core, assignments, desk.now)
    assert (desk.state("j1"), desk.state("j2")) == (S.QUEUED, S.AWARDED)
    assert [item.job_id for each in core.effects if isinstance(each, effects.SendAwards) for item in each.awards] == [
        "j2"
    ]


def test_a_run_that_nobody_knows_hides_none_behind_it(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    cut(desk)
    assert desk.state() is S.QUEUED
    stray = RunningJob(job_id="ghost", attempt=1, token="6-9", adapter_id="echo", device="fixed-0")
    agent.running = [stray, agent.runs(item)]
    desk.hear(agent)
    assert desk.state() is S.RUNNING
