"""Parameters are judged before the auction by all known adapters, and again by the agent that gets the job."""

from __future__ import annotations

from typing import Any

import msgspec

from pocket3d.contracts.commands import AwardAnswer, Reason
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import AdapterOffer
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, offer


def typed(adapter_id: str, **properties: Any) -> AdapterOffer:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return msgspec.structs.replace(offer(adapter_id), parameters=schema)


STEPS = typed("stepper", steps={"type": "integer"})
SIZED = typed("sizer", size={"type": "number"})


def refused(desk: Desk) -> tuple[str, str | None, str]:
    result = desk.one(effects.StoreResult).result
    assert result.status == "rejected" and result.error is not None
    assert result.error.code == "invalid_input"
    return result.job_id, result.error.field, result.error.message


def test_what_every_adapter_refuses_is_rejected_with_the_field_and_not_called_for(desk: Desk) -> None:
    desk.hear(AgentDouble("a", adapters=[STEPS]))
    desk.hear(AgentDouble("b", adapters=[SIZED]))
    desk.submit(inputs={"stepps": 3})
    job_id, field, message = refused(desk)
    assert (job_id, field) == ("j1", "inputs.stepps")
    assert "sizer, stepper" in message
    assert not desk.take(effects.SendCall)


def test_only_those_that_take_it_are_invited(desk: Desk) -> None:
    desk.hear(AgentDouble("a", adapters=[STEPS]))
    desk.hear(AgentDouble("b", adapters=[SIZED, typed("other", steps={})]))
    desk.submit(inputs={"size": 2})
    (call,) = desk.take(effects.SendCall)
    assert call.agent_id == "b"
    assert set(call.lots[0].without) >= {"stepper", "other"}
    desk.tick(0.3)
    group = desk.engine.core.queue.group_of(desk.record().group_key())
    assert group is not None
    assert group.reasons["a"][0].code == "parameters"


def test_an_adapter_without_a_schema_takes_any_keys(desk: Desk) -> None:
    desk.hear(AgentDouble("a", adapters=[STEPS, offer("free")]))
    desk.submit(inputs={"whatever": 1})
    (call,) = desk.take(effects.SendCall)
    assert call.lots[0].without == ["stepper"]


def test_of_named_adapters_only_those_are_asked(desk: Desk) -> None:
    desk.hear(AgentDouble("a", adapters=[STEPS, offer("free")]))
    desk.submit(inputs={"whatever": 1}, model_preference="stepper")
    assert refused(desk)[1] == "inputs.whatever"


def test_of_two_versions_of_one_adapter_one_that_takes_it_suffices(desk: Desk) -> None:
    desk.hear(AgentDouble("old", adapters=[STEPS]))
    desk.hear(AgentDouble("new", adapters=[typed("stepper", steps={}, size={})]))
    desk.submit(inputs={"size": 1})
    assert {call.agent_id for call in desk.take(effects.SendCall)} == {"old", "new"}


def test_an_adapter_that_could_not_even_be_asked_does_not_count(desk: Desk) -> None:
    desk.hear(AgentDouble("a", adapters=[STEPS, offer("broken", available=False, reason="no torch")]))
    desk.submit(inputs={"whatever": 1})
    assert refused(desk)[1] == "inputs.whatever"


def test_with_nobody_there_it_waits_and_the_agents_word_counts_then(desk: Desk) -> None:
    desk.submit(inputs={"whatever": 1})
    assert desk.state() is JobState.QUEUED
    agent = AgentDouble("a", adapters=[STEPS, SIZED])
    desk.hear(agent)
    for adapter_id in ("stepper", "sizer"):
        item = desk.win(agent, adapter_id=adapter_id)
        reason = Reason(
            agent_id="a", code="parameters", adapter_id=adapter_id, message="unknown parameter", field="inputs.whatever"
        )
        no = AwardAnswer(job_id="j1", token=item.token, accepted=False, reason=reason)
        desk.do(events.AwardsReturned(desk._answered(agent, [no])))
        if adapter_id == "stepper":
            assert desk.state() is JobState.QUEUED, "another adapter may take it"
            assert desk.record().attempt_no == 0
    job_id, field, message = refused(desk)
    assert (job_id, field) == ("j1", "inputs.whatever")
    assert "sizer" in message


def test_the_history_of_a_refused_job_begins_with_queued(desk: Desk) -> None:
    """Another leader may know other adapters: it must be able to take up the job."""
    desk.hear(AgentDouble("a", adapters=[STEPS]))
    desk.read(inputs={"stepps": 3})
    (queued,) = desk.take(effects.PublishQueued)
    assert queued.status.status == "queued"
    assert not desk.take(effects.SendCall)
    desk.do(events.QueuedStored("j1"))
    assert refused(desk)[0] == "j1"


def test_a_schema_that_changes_counts_from_then_on(desk: Desk) -> None:
    agent = AgentDouble("a", adapters=[STEPS])
    desk.hear(agent)
    agent.adapters = [typed("stepper", steps={}, extra={})]
    desk.hear(agent)
    desk.submit(inputs={"extra": 1})
    assert desk.take(effects.SendCall)
