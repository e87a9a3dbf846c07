"""What one round of a chain leaves to the next, and one leader to the next: wishes to end it, and what was stored."""

from __future__ import annotations

import msgspec
import pytest

from pocket3d.contracts.codec import encode
from pocket3d.coordinator.chains import effects, events
from pocket3d.coordinator.chains.record import ChainKey
from pocket3d.coordinator.chains.story import read_status, record_from
from support.chain_desk import ChainsDesk, chain_of

LINE = {"mesh": [], "skin": ["mesh"], "rig": ["skin"]}


def cancelled(reason: str = "enough") -> tuple[ChainsDesk, ChainKey]:
    """A chain that was cancelled while its first step ran."""
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    desk.started()
    desk.do(events.CancelAsked(key, reason, 1))
    desk.cancel_job("dog-mesh")
    assert desk.store()[-1] == "cancelled"
    desk.effects.clear()
    return desk, key


def test_one_that_was_cancelled_and_is_tried_again_runs_to_its_end() -> None:
    """The wish was about the former round."""
    desk, key = cancelled()
    desk.do(events.RetryAsked(desk.ended(key), 2))
    assert desk.store() == ["retried"]
    assert (desk.words(key), read_status(key, desk.stream[key][-1].data).cancelling) == (
        dict.fromkeys(LINE, "waiting"),
        False,
    )
    for step in LINE:
        assert desk.started() == [f"dog-{step}-r2"]
        desk.succeed(f"dog-{step}-r2")
    assert desk.take(effects.CancelJob) == []
    assert desk.store()[-1] == "succeeded"


def test_a_cancel_ends_what_waits_at_once_in_a_later_round_too() -> None:
    desk, key = cancelled()
    desk.do(events.RetryAsked(desk.ended(key), 2))
    desk.store()
    desk.started()
    desk.do(events.CancelAsked(key, "really", 3))
    assert desk.store() == ["cancelling"]
    assert desk.words(key) == {"mesh": "queued", "skin": "cancelled", "rig": "cancelled"}
    assert [(wish.job_id, wish.reason) for wish in desk.take(effects.CancelJob)] == [("dog-mesh-r2", "really")]


def test_a_cancel_while_the_retry_is_being_stored_starts_nothing() -> None:
    desk, key = cancelled()
    desk.do(events.RetryAsked(desk.ended(key), 2))
    desk.do(events.CancelAsked(key, "after all not", 3))
    assert desk.store() == ["retried", "cancelled"]
    assert desk.started() == []
    assert [answer.ask for answer in desk.take(effects.Answer)] == [2, 3]
    assert not desk.engine.chains


@pytest.mark.parametrize(("stored", "said"), [("enough", "enough"), (None, "cancelled on request")])
def test_the_next_leader_ends_it_for_the_reason_that_was_stored(stored: str | None, said: str) -> None:
    former = ChainsDesk()
    key = former.submit(chain_of(LINE))
    former.started()
    former.do(events.CancelAsked(key, "enough", 1))
    assert former.store() == ["cancelling"]
    first, last = former.stream[key]
    told = msgspec.structs.replace(read_status(key, last.data), reason=stored)
    leader = ChainsDesk()
    leader.do(events.ChainFound(key, record_from(key, first, last._replace(data=encode(told)))))
    assert leader.started() == ["dog-mesh"], "its job may be there"
    assert set(leader.take(effects.CancelJob)) == {effects.CancelJob("dog-mesh", said)}
