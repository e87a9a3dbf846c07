"""Jobs for commercial use run on adapters whose licences say yes, wait for one, and are refused where all say no."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.codec import convert, encode
from pocket3d.contracts.commands import BidDeclined, CallAnswered, Reason
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from support.coordinator_desk import AgentDouble, Desk, offer

FREE = offer("free", commercial="yes")
CLOSED = offer("closed", commercial="no")
#: Of a former version, whose adverts do not say.
SILENT = offer("silent")


def codes(desk: Desk, job_id: str = "j1") -> list[str]:
    return [each.code for each in explain(desk.engine.core, desk.record(job_id), desk.now).reasons]


@pytest.mark.parametrize("only", [False, True])
def test_an_agent_is_asked_for_what_may_be_used_commercially(desk: Desk, only: bool) -> None:
    desk.hear(AgentDouble(adapters=[FREE, CLOSED, SILENT]))
    desk.submit(commercial_only=only)
    [call] = desk.take(effects.SendCall)
    assert set(call.lots[0].without) == ({"closed", "silent"} if only else set())


@pytest.mark.parametrize(
    "offers", [[SILENT], [offer("x", commercial="unclear")], [CLOSED, SILENT], [offer("x", commercial="maybe")]]
)
def test_it_waits_where_no_licence_says_yes_and_explain_says_so(desk: Desk, offers: list[object]) -> None:
    desk.hear(AgentDouble(adapters=offers))  # type: ignore[arg-type]
    desk.submit(commercial_only=True)
    assert desk.state() is JobState.QUEUED and not desk.take(effects.SendCall)
    assert codes(desk) == ["licence"]
    told = explain(desk.engine.core, desk.record(), desk.now)
    assert "commercial use" in told.summary and "commercial" in str(told.reasons[0].message)
    # The next agent has one.
    desk.hear(AgentDouble("b", adapters=[FREE]))
    [call] = desk.take(effects.SendCall)
    assert call.agent_id == "b"


def test_an_advert_that_says_yes_now_wakes_the_job(desk: Desk) -> None:
    agent = AgentDouble(adapters=[SILENT])
    desk.hear(agent)
    desk.submit(commercial_only=True)
    agent.adapters = [offer("silent", commercial="yes")]
    desk.hear(agent)
    assert [call.agent_id for call in desk.take(effects.SendCall)] == ["a1"]


def test_it_is_refused_where_every_known_licence_forbids_it(desk: Desk) -> None:
    desk.hear(AgentDouble(adapters=[CLOSED, offer("other", "text_to_mesh", commercial="yes")]))
    desk.submit(commercial_only=True)
    result = desk.one(effects.StoreResult).result
    assert result.status == "rejected" and result.error is not None
    assert (result.error.code, result.error.field) == ("invalid_input", "commercial_only")
    assert "closed" in result.error.message


def test_only_the_named_adapters_count(desk: Desk) -> None:
    desk.hear(AgentDouble(adapters=[CLOSED, FREE]))
    desk.submit(commercial_only=True, model_preference="closed")
    assert desk.one(effects.StoreResult).result.status == "rejected"


def test_a_host_whose_licence_says_otherwise_is_enough_to_wait(desk: Desk) -> None:
    """The same adapter in another configuration: TRELLIS without its baked texture."""
    away = AgentDouble("b", adapters=[offer("closed", commercial="yes")])
    away.draining = True
    desk.hear(AgentDouble(adapters=[CLOSED]))
    desk.hear(away)
    desk.submit(commercial_only=True)
    assert desk.state() is JobState.QUEUED and sorted(codes(desk)) == ["draining", "licence"]


def test_nothing_is_refused_for_a_fleet_that_is_not_known_yet(desk: Desk) -> None:
    desk.submit(commercial_only=True)
    assert desk.state() is JobState.QUEUED


def test_what_an_agent_keeps_off_for_a_licence_is_told_as_that(desk: Desk) -> None:
    """It answers as for every adapter that it is to leave out."""
    agent = AgentDouble(adapters=[FREE, CLOSED])
    desk.hear(agent)
    desk.submit(commercial_only=True)
    [call] = desk.take(effects.SendCall)
    reasons = [
        Reason(agent_id="a1", code="benched", adapter_id="closed", message="the coordinator keeps it off"),
        Reason(agent_id="a1", code="vram_busy", adapter_id="free", device="fixed-0", need_mb=9, have_mb=1, short_mb=8),
    ]
    declined = CallAnswered(
        agent_id="a1",
        incarnation=agent.incarnation,
        seq=agent.count(),
        call_id=call.call_id,
        bids=[],
        declines=[BidDeclined(lot=call.lots[0].lot, reasons=reasons)],
        devices=list(agent.devices),
    )
    desk.do(events.CallReturned(declined))
    assert sorted(codes(desk)) == ["licence", "vram_busy"]


def test_the_field_is_sent_only_where_it_says_something() -> None:
    """Agents of a former version refuse a job with a field that they do not know."""
    plain: dict[str, Any] = {"inputs": {}}
    assert encode(convert(Job, plain)) == encode(convert(Job, {**plain, "commercial_only": False}))
    assert b"commercial_only" not in encode(convert(Job, plain))
    assert b'"commercial_only":true' in encode(convert(Job, {**plain, "commercial_only": True}))
