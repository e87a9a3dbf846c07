"""Draining and leaving at the edges of their limits: what is answered, when jobs are stopped, when the agent exits."""

from __future__ import annotations

from typing import Any

from pocket3d.contracts.api import ControlAnswer
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, of, only


def answer(rig: AgentRig, event: events.Event) -> str:
    message = only(rig.tell(event), effects.Reply).message
    assert isinstance(message, ControlAnswer)
    return message.message


def working(**settings: Any) -> tuple[AgentRig, str]:
    """An agent with one job on its worker, whose start was noted."""
    rig = AgentRig(**settings)
    token = rig.take()
    rig.run(token)
    rig.pass_time(2)
    rig.note()
    assert not rig.engine.core.outcomes
    return rig, token


def adverts(wanted: list[effects.Effect]) -> list[bool]:
    return [each.advert.draining for each in of(wanted, effects.PublishAdvert)]


def test_a_drain_is_answered_with_the_time_that_is_left() -> None:
    rig, _ = working(drain_timeout_s=300)
    drain = events.DrainRequested(leave=False, request=1)
    assert answer(rig, drain) == "draining: 1 running jobs may take 300 s"
    rig.pass_time(100)
    assert answer(rig, drain) == "draining: 1 running jobs may take 200 s", "a second one gives no more time"
    rig.pass_time(201)
    assert answer(rig, drain) == "draining: 1 running jobs may take 0 s"


def test_leaving_says_how_long_it_waits_for_what_runs() -> None:
    rig, _ = working(drain_timeout_s=300, leave_timeout_s=50, cancel_grace_s=60)
    rig.tell(events.DrainRequested(leave=False))
    rig.pass_time(301)
    (line,) = of(rig.tell(events.DrainRequested(leave=True)), effects.LogLine)
    assert line.fields == {"jobs": 1, "within_s": 0.0}, "its time is over, and it was asked to end"


def test_a_drain_and_its_end_are_told_at_once() -> None:
    rig, _ = working()
    for event, draining in ((events.DrainRequested(leave=False), True), (events.UndrainRequested(), False)):
        rig.pass_time(2)
        rig.pass_time(0.25)
        assert adverts(rig.tell(event)) == [draining]


def test_jobs_are_stopped_when_the_time_of_a_drain_is_over_and_no_tick_is_wanted_for_it_again() -> None:
    rig, token = working(drain_timeout_s=30, cancel_grace_s=600)
    rig.tell(events.DrainRequested(leave=False))
    rig.pass_time(29.5)
    assert rig.state(token) == "running"
    rig.pass_time(0.5)
    assert rig.state(token) == "cancelling"
    rig.pass_time(1)
    assert rig.engine.next_deadline(rig.now) > rig.now.mono


def test_the_end_of_a_drain_says_what_still_keeps_the_agent_from_bidding() -> None:
    rig, _ = working()
    rig.tell(events.DrainRequested(leave=False))
    assert answer(rig, events.UndrainRequested(1)) == "bids again"
    rig.tell(events.DrainRequested(leave=False))
    rig.engine.core.storage.problem = "the bucket is full"
    told = answer(rig, events.UndrainRequested(2))
    assert told == "drains no more, but the agent cannot store results: the bucket is full"


def test_a_drain_that_was_taken_back_stops_nobody() -> None:
    rig, token = working(drain_timeout_s=30)
    rig.tell(events.DrainRequested(leave=False))
    rig.tell(events.UndrainRequested())
    rig.pass_time(60)
    assert rig.state(token) == "running"


def test_an_agent_does_not_leave_while_something_runs_though_nothing_is_to_be_told() -> None:
    rig, token = working()
    assert not of(rig.tell(events.DrainRequested(leave=True)), effects.Exit)
    rig.finish(token)
    rig.note()
    assert not rig.all(effects.Exit), "its worker is ending"
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    rig.note()
    assert len(rig.all(effects.Exit)) == 1


def test_an_idle_agent_leaves_with_its_last_worker() -> None:
    rig = AgentRig()
    worker_id = rig.warm()
    rig.pass_time(2)
    rig.note()
    assert not of(rig.tell(events.DrainRequested(leave=True)), effects.Exit)
    assert of(rig.tell(events.WorkerExited(worker_id)), effects.Exit)


def test_a_job_that_ends_after_its_time_does_not_put_off_the_end_of_the_agent() -> None:
    rig, token = working(leave_timeout_s=50, leave_bound_s=30, cancel_grace_s=20)
    rig.tell(events.Disconnected())
    rig.tell(events.DrainRequested(leave=True))
    rig.pass_time(60)
    rig.tell(events.RunFailed(token, "cancelled", "was asked to stop"))
    assert not of(rig.pass_time(19.5), effects.Exit)
    assert only(rig.pass_time(0.5), effects.Exit).unreported == (token,), "80 s after it was told to leave"
