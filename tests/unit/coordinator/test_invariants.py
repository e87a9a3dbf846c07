"""Each rule that must hold between events is broken once, and noticed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pocket3d.contracts.messages import JobError
from pocket3d.coordinator.auction.planning import BackfillReservation
from pocket3d.coordinator.engine.job import Recovery
from pocket3d.coordinator.engine.state import Core
from support.coordinator_desk import AgentDouble, Desk


@pytest.fixture
def core(desk: Desk, agent: AgentDouble) -> Core:
    """`runs` runs, `waits` waits, `new` has just been read."""
    desk.hear(agent)
    desk.running(agent, "runs")
    desk.submit("waits", limits={"schedule_to_start_s": 60})
    desk.read("new")
    return desk.engine.core


def lose_booking(core: Core) -> None:
    core.fleet.agents["a1"].attempts.clear()


def wait_with_an_attempt(core: Core) -> None:
    core.jobs["waits"].attempt = core.jobs["runs"].attempt


def run_without_an_attempt(core: Core) -> None:
    core.jobs["runs"].attempt = None


def cancel_unfiled(core: Core) -> None:
    attempt = core.jobs["runs"].attempt
    assert attempt is not None
    attempt.cancel_by = 5.0


def recover_what_runs(core: Core) -> None:
    core.jobs["runs"].recovery = Recovery(None)
    core.index.file(core.jobs["runs"])


def let_an_ending_wait(core: Core) -> None:
    core.jobs["runs"].ending = ("failed", JobError(code="x", message="x"))
    core.index.file(core.jobs["runs"])


def list_a_stranger(core: Core) -> None:
    core.index.unanswered["gone"] = core.jobs["runs"]


def leave_the_queue_unseen(core: Core) -> None:
    core.queue.remove(core.jobs["waits"])


def keep_a_deadline(core: Core) -> None:
    core.deadlines.set("runs", 5.0)


def hold_a_device_for_what_runs(core: Core) -> None:
    key = core.jobs["runs"].group_key()
    core.auctioneer.backfill.hold = BackfillReservation("runs", "default", key, "a1", "fixed-0", start_at=9.0)


def forget_a_waiting_job(core: Core) -> None:
    del core.jobs["waits"]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lose_booking, "is not booked on a1"),
        (wait_with_an_attempt, "waits is queued with an attempt"),
        (run_without_an_attempt, "runs is running without an attempt"),
        (cancel_unfiled, "runs is in the wrong lists"),
        (recover_what_runs, "runs is running and still recovering"),
        (let_an_ending_wait, "an ending waits that could be decided"),
        (list_a_stranger, "the index lists 1 jobs"),
        (leave_the_queue_unseen, "the queue counts 0"),
        (keep_a_deadline, "runs does not wait and has a deadline"),
        (hold_a_device_for_what_runs, "a1/fixed-0 is held for runs"),
        (forget_a_waiting_job, "the queue counts 1"),
    ],
)
def test_a_broken_rule_is_noticed(break_it: Callable[[Core], None], words: str, core: Core, desk: Desk) -> None:
    desk.engine.check()
    break_it(core)
    with pytest.raises(AssertionError, match=words):
        desk.engine.check()
