"""The coordinator's job lifecycle: every row of the table by a job that takes it, and no move beside it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import InvalidTransition, JobState
from pocket3d.contracts.messages import Result
from pocket3d.coordinator.engine import effects, events, lifecycle
from pocket3d.coordinator.engine.job import JobClass, JobRecord
from pocket3d.coordinator.engine.lifecycle import TRANSITIONS, check_transition
from support.coordinator_desk import AgentDouble, Desk, last_status

S = JobState
Path = Callable[[Desk, AgentDouble], None]


def _succeeded(job_id: str = "j1", token: str = "6-1") -> Result:
    return Result(job_id=job_id, feature="echo", status="succeeded", attempt=1, token=token, agent_id="a1")


def _recovering(desk: Desk) -> None:
    desk.read()
    desk.do(events.QueuedConflict("j1"))


def submitted_queued(desk: Desk, agent: AgentDouble) -> None:
    desk.submit()


def submitted_recovering(desk: Desk, agent: AgentDouble) -> None:
    _recovering(desk)
    desk.do(events.LastEventRead("j1", None, 1, unreadable=True))


def submitted_finishing(desk: Desk, agent: AgentDouble) -> None:
    desk.read()
    desk.do(events.CancelAsked("j1", None))
    desk.do(events.QueuedStored("j1"))


def recovering_queued(desk: Desk, agent: AgentDouble) -> None:
    _recovering(desk)
    desk.do(events.LastEventRead("j1", last_status(), 1))


def recovering_running(desk: Desk, agent: AgentDouble) -> None:
    item = effects.AwardItem("j1", 1, "echo", 1, "6-1", "echo", "fixed-0", None, 0.0, 0.0)
    agent.running = [agent.runs(item)]
    desk.hear(agent)
    _recovering(desk)
    desk.do(events.LastEventRead("j1", last_status(), 1))


def recovering_finishing(desk: Desk, agent: AgentDouble) -> None:
    _recovering(desk)
    desk.do(events.CancelAsked("j1", None))
    desk.do(events.LastEventRead("j1", last_status(), 1))


def recovering_finished(desk: Desk, agent: AgentDouble) -> None:
    _recovering(desk)
    desk.do(events.LastEventRead("j1", last_status(word="succeeded"), 1))


def queued_awarded(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.awarded(agent)


def queued_running(desk: Desk, agent: AgentDouble) -> None:
    desk.submit()
    item = effects.AwardItem("j1", 1, "echo", 1, "6-1", "echo", "fixed-0", None, 0.0, 0.0)
    agent.running = [agent.runs(item)]
    desk.hear(agent)


def queued_finishing(desk: Desk, agent: AgentDouble) -> None:
    desk.submit()
    desk.do(events.CancelAsked("j1", None))


def queued_finished(desk: Desk, agent: AgentDouble) -> None:
    desk.submit()
    desk.see(_succeeded())


def awarded_queued(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.decline(agent, desk.awarded(agent))


def awarded_running(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.running(agent)


def awarded_finishing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.failed(agent, desk.awarded(agent), "invalid_input")


def awarded_finished(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.see(desk.result_of(desk.awarded(agent), agent))


def running_queued(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.failed(agent, desk.running(agent), "worker_crashed")


def running_finishing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.failed(agent, desk.running(agent), "invalid_output")


def running_finished(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.see(desk.result_of(desk.running(agent), agent))


def finishing_finished(desk: Desk, agent: AgentDouble) -> None:
    desk.submit()
    desk.do(events.CancelAsked("j1", None))
    desk.see(desk.one(effects.StoreResult).result)


PATHS: dict[tuple[JobState, JobState], Path] = {
    (S.SUBMITTED, S.QUEUED): submitted_queued,
    (S.SUBMITTED, S.RECOVERING): submitted_recovering,
    (S.SUBMITTED, S.FINISHING): submitted_finishing,
    (S.RECOVERING, S.QUEUED): recovering_queued,
    (S.RECOVERING, S.RUNNING): recovering_running,
    (S.RECOVERING, S.FINISHING): recovering_finishing,
    (S.RECOVERING, S.FINISHED): recovering_finished,
    (S.QUEUED, S.AWARDED): queued_awarded,
    (S.QUEUED, S.RUNNING): queued_running,
    (S.QUEUED, S.FINISHING): queued_finishing,
    (S.QUEUED, S.FINISHED): queued_finished,
    (S.AWARDED, S.QUEUED): awarded_queued,
    (S.AWARDED, S.RUNNING): awarded_running,
    (S.AWARDED, S.FINISHING): awarded_finishing,
    (S.AWARDED, S.FINISHED): awarded_finished,
    (S.RUNNING, S.QUEUED): running_queued,
    (S.RUNNING, S.FINISHING): running_finishing,
    (S.RUNNING, S.FINISHED): running_finished,
    (S.FINISHING, S.FINISHED): finishing_finished,
}


@pytest.mark.parametrize("row", list(TRANSITIONS), ids=lambda row: f"{row[0].value}-{row[1].value}")
def test_every_row_is_taken(row: tuple[JobState, JobState], desk: Desk, agent: AgentDouble) -> None:
    PATHS[row](desk, agent)
    record = desk.record()
    assert record.state is row[1]
    assert record.history[-1].startswith(f"{row[0].value} -> {row[1].value}")


@pytest.mark.parametrize(
    "row", [(a, b) for a in JobState for b in JobState if (a, b) not in TRANSITIONS], ids=lambda r: f"{r[0]}-{r[1]}"
)
def test_a_move_beside_the_table_raises_with_the_history(row: tuple[JobState, JobState]) -> None:
    with pytest.raises(InvalidTransition, match=r"job j1: .* is not in the table; its history: read; queued") as caught:
        check_transition("j1", *row, ["read", "queued"])
    assert (caught.value.start, caught.value.end) == row


def test_who_watches_is_told_of_every_move_and_of_none_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation counts which rows of the table it has taken."""
    seen: list[tuple[JobState, JobState]] = []
    monkeypatch.setattr(lifecycle, "observers", [lambda start, end: seen.append((start, end))])
    check_transition("j1", S.QUEUED, S.AWARDED, [])
    with pytest.raises(InvalidTransition):
        check_transition("j1", S.FINISHED, S.QUEUED, [])
    assert seen == [(S.QUEUED, S.AWARDED)]


def test_a_finished_job_cannot_come_back(desk: Desk, agent: AgentDouble) -> None:
    running_finished(desk, agent)
    with pytest.raises(InvalidTransition, match=r"finished -> queued.*queued -> awarded \(to a1/fixed-0\)"):
        desk.record().move(JobState.QUEUED, "by mistake")


def test_nothing_leaves_the_last_state_and_every_state_can_be_reached() -> None:
    assert not [row for row in TRANSITIONS if row[0] is JobState.FINISHED]
    assert {row[1] for row in TRANSITIONS} == set(JobState) - {JobState.SUBMITTED}


def test_jobs_that_have_only_begun_share_one_history() -> None:
    job_class = JobClass.of("echo", "echo", "normal", Job(inputs={}))
    first, second = (JobRecord(number, f"j{number}", job_class, 0.0, 0.0) for number in range(2))
    for record in (first, second):
        record.move(JobState.QUEUED, "stored")
    assert first.history is second.history
    for record in (first, second):
        record.move(JobState.AWARDED, "won")
        record.move(JobState.QUEUED, "declined")
    assert first.history == second.history and first.history is not second.history


def test_the_history_keeps_its_last_moves_only(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.submit()
    for _ in range(20):
        desk.decline(agent, desk.win(agent))
        for agent.draining in (True, False):
            # A change of its advert, so that it is asked again.
            desk.hear(agent)
    assert len(desk.record().history) == 12
