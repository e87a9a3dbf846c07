"""What is told of steps whose jobs nobody knows: what they wait for, and why they have none."""

from __future__ import annotations

import pytest

from pocket3d.contracts.api import Explanation
from pocket3d.coordinator.chains import events
from pocket3d.coordinator.chains.explain import explain_step, may_belong_to
from pocket3d.coordinator.chains.record import ChainKey
from support.chain_desk import ChainsDesk, chain_of, group_of

LINE = {"mesh": [], "skin": ["mesh"], "rig": ["skin", "mesh"]}


def told(desk: ChainsDesk, job_id: str, full: str | None = None) -> Explanation:
    chain = desk.engine.chain_of(job_id)
    assert chain is not None
    found = explain_step(chain, job_id, full)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("job_id", "name"),
    [
        ("dog-rig", "dog"),
        ("a-b-c_1", "a-b"),
        ("dog-rig-r2", "dog"),
        ("lot-17", "lot"),
        ("dog", None),
        ("d.g-rig", None),
    ],
)
def test_whose_step_a_job_may_be_is_in_its_id(job_id: str, name: str | None) -> None:
    found = list(may_belong_to(job_id))
    assert found == ([ChainKey("chain", name), ChainKey("group", name)] if name is not None else [])


def test_a_step_that_waits_names_what_it_waits_for() -> None:
    desk = ChainsDesk()
    desk.submit(chain_of(LINE))
    rig = told(desk, "dog-rig")
    assert (rig.status, rig.waits_for, rig.tenant) == ("waiting", ["dog-skin", "dog-mesh"], "default")
    assert rig.summary == (
        "step rig of the chain dog: waits for skin (job dog-skin) and mesh (job dog-mesh), and becomes a job when "
        "they have succeeded"
    )
    desk.started()
    desk.succeed("dog-mesh")
    assert told(desk, "dog-rig").waits_for == ["dog-skin"]
    assert "becomes a job when it has succeeded" in told(desk, "dog-rig").summary
    assert told(desk, "dog-skin").summary == "step skin of the chain dog: its job is being published"
    assert told(desk, "dog-skin", "its tenant has enough").summary.endswith(": its tenant has enough")
    desk.started()
    assert told(desk, "dog-skin").summary.endswith(": its job is published and not read yet")


def test_a_step_that_ended_without_a_job_says_why_and_one_that_was_tried_anew_where() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    chain = desk.engine.chains[key]
    desk.started()
    desk.fail("dog-mesh", "out_of_memory")
    skin = explain_step(chain, "dog-skin", None)
    assert skin is not None
    assert (skin.status, skin.waits_for) == ("cancelled", [])
    assert skin.summary.endswith(
        ": it has ended: cancelled, the step mesh, whose file it takes, failed (out_of_memory)"
    )
    desk.store()
    desk.do(events.RetryAsked(desk.ended(key), 1))
    assert told(desk, "dog-skin-r2").summary.endswith(": its chain is to be tried again, which is being stored")
    again = explain_step(desk.engine.chains[key], "dog-skin", None)
    assert again is not None and again.summary.endswith(": it was tried anew as the job dog-skin-r2")
    assert explain_step(desk.engine.chains[key], "dog-wing", None) is None


def test_a_job_of_a_group_that_has_no_room_yet() -> None:
    desk = ChainsDesk()
    desk.submit(group_of(2))
    assert told(desk, "lot-2", "3 wait").summary == "job 2 of the group lot: 3 wait"
