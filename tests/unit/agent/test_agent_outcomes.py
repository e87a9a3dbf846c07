"""Reports of starts and failures: when they are sent, again after which pause, and what they hold."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.commands import AttemptFailed, AttemptStarted
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import AgentRig, adapter, of, only


def reported(wanted: list[effects.Effect]) -> list[tuple[str, type]]:
    """Tokens and types of the outcomes that were sent."""
    return [(each.token, type(each)) for sent in of(wanted, effects.SendOutcomes) for each in sent.report.outcomes]


def failed(rig: AgentRig, message: str = "the link is broken", code: str = "artifact_missing") -> str:
    """A job whose inputs cannot be had; its token."""
    token = rig.take()
    rig.tell(events.InputsFailed(token, code, message))
    return token


def settled(**settings: Any) -> AgentRig:
    """An agent that has nothing to report."""
    rig = AgentRig(adapters=[adapter(vram_mb=1000, max_concurrent=9)], **settings)
    rig.pass_time(2)
    return rig


def test_a_report_that_nobody_answered_is_sent_again_after_the_pause() -> None:
    rig = settled(outcome_retry_s=3.0)
    token = failed(rig)
    assert reported(rig.log)[-1] == (token, AttemptFailed)
    assert not reported(rig.pass_time(10)), "its answer is waited for"
    assert not reported(rig.tell(events.OutcomesAnswered((f"{token}/attempt_started",))))
    assert not reported(rig.pass_time(2.5))
    assert (token, AttemptFailed) in reported(rig.pass_time(0.5))


def test_a_new_outcome_does_not_wait_for_the_pause_of_an_older_one() -> None:
    rig = settled(outcome_retry_s=30.0)
    older = failed(rig)
    rig.tell(events.OutcomesAnswered(()))
    rig.pass_time(5)
    later = failed(rig)
    sent = reported(rig.log)
    assert sent.count((older, AttemptFailed)) == 1
    assert sent.count((later, AttemptFailed)) == 1


def test_nothing_is_reported_without_a_connection_and_all_of_it_after() -> None:
    rig = settled()
    rig.tell(events.Disconnected())
    before = len(rig.log)
    token = failed(rig)
    rig.pass_time(10)
    assert not reported(rig.log[before:])
    assert (token, AttemptFailed) in reported(rig.tell(events.Connected()))


def test_what_was_noted_is_forgotten_whole() -> None:
    rig = settled()
    token = failed(rig)
    assert rig.state(token) == "reporting"
    rig.tell(events.OutcomesAnswered(()))
    rig.pass_time(2)
    rig.note()
    other = rig.take()
    rig.run(other)
    rig.tell(events.OutcomesAnswered(()))
    rig.finish(other)
    rig.note()
    assert (rig.state(token), rig.state(other)) == ("done", "done")
    assert not rig.engine.core.outcomes
    assert not rig.engine.core.outcomes_due, "an agent lives for months"


def test_a_run_that_is_decided_is_told_at_once() -> None:
    rig = settled()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFinished(token, {}, (), 1.0))
    rig.pass_time(2)
    rig.pass_time(0.25)
    (told,) = of(rig.tell(events.ResultStored(token)), effects.PublishAdvert)
    assert told.advert.running == []


@pytest.mark.parametrize(
    ("length", "kept"),
    [(10, "x" * 10), (4000, "x" * 4000), (4001, "x" * 3997 + "..."), (90_000, "x" * 3997 + "...")],
    ids=["short", "the longest", "a little longer", "far longer"],
)
def test_a_failures_message_is_cut_where_a_report_of_many_would_be_too_large(length: int, kept: str) -> None:
    rig = settled()
    assert rig.failure(failed(rig, "x" * length)).message == kept


def test_a_failure_says_how_long_its_load_took_if_it_came_to_run() -> None:
    rig = settled()
    assert rig.failure(failed(rig)).load_s is None
    token = rig.take()
    rig.fetch(token)
    worker_id = rig.run_of(token).worker.worker_id
    rig.tell(events.WorkerReady(worker_id, 7))
    rig.pass_time(4)
    rig.tell(events.ModelLoaded(worker_id, 4.0))
    rig.tell(events.RunFailed(token, "adapter_error", "no", run_s=1.5))
    told = rig.failure(token)
    assert (told.load_s, told.run_s) == (4.0, 1.5)


def test_a_start_that_the_awards_answer_told_is_reported_only_if_the_job_goes_on() -> None:
    rig = settled(outcome_retry_s=3.0)
    token = rig.take()
    assert not reported(rig.pass_time(2.5)), "the answer said so"
    assert (token, AttemptStarted) in reported(rig.pass_time(0.5)), "the answer may have been lost"


def test_a_status_lists_what_is_not_noted_yet() -> None:
    rig = settled()
    token = failed(rig)
    assert rig.state(token) == "reporting"
    told = only(rig.tell(events.StatusRequested(1)), effects.Reply).message
    assert getattr(told, "outcomes") == [token]  # noqa: B009
