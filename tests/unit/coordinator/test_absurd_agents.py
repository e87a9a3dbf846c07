"""What one agent says, however absurd, costs that agent alone: the jobs of the others are placed as ever."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import BidPlaced, CallAnswered
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Advert, DeviceState
from pocket3d.coordinator.auction.fleet import started_ms
from pocket3d.coordinator.auction.scoring import POLICIES, Candidate
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, device, offer

MB = st.sampled_from([0, 1, 8000, 2**30])
SECONDS = st.sampled_from([0.0, 1e-300, 1.0, 1e10])
COUNT = st.sampled_from([0, 1, 10**9])


@given(
    bid=st.fixed_dictionaries(
        {
            "claim_mb": MB,
            "claim_next_mb": MB,
            "evict_mb": MB,
            "slots": COUNT,
            "max_concurrent": COUNT,
            "est_queue_s": SECONDS,
            "est_load_s": SECONDS,
            "est_run_s": SECONDS | st.none(),
            "warm": st.booleans(),
            "stands": st.booleans(),
            "device": st.sampled_from(["fixed-0", "nowhere", ""]),
            "adapter_id": st.sampled_from(["echo", "nothing"]),
        }
    ),
    total_mb=MB,
    free_mb=st.sampled_from([-(2**30), 0, 2**30]),
    policy=st.sampled_from(sorted(POLICIES)),
)
def test_no_bid_that_can_be_read_stops_a_round(bid: dict[str, Any], total_mb: int, free_mb: int, policy: str) -> None:
    desk = Desk(policy=policy)
    sound, absurd = AgentDouble("sound"), AgentDouble("absurd", devices=[device(total_mb=total_mb, free_mb=free_mb)])
    desk.hear(sound)
    desk.hear(absurd)
    desk.submit("j1")
    desk.submit("j2")
    assert decode(BidPlaced, encode(BidPlaced(lot=0, **bid)))
    calls = {call.agent_id: call for call in desk.take(effects.SendCall)}
    desk.effects += calls.values()
    desk.answer_calls(sound, slots=2)
    if "absurd" in calls:
        desk.effects.append(calls["absurd"])
        desk.answer_calls(absurd, **bid)
    for _ in range(3):
        # It may have promised to be free in a moment: it is asked once more, and says nothing.
        desk.tick(1.0)
        desk.hear(sound, full=False)
        desk.hear(absurd, full=False)
        desk.answer_calls(sound, slots=2)
    assert desk.take(effects.SendAwards)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("est_start_s", math.inf),
        ("est_start_s", -math.inf),
        ("est_start_s", math.nan),
        ("est_start_s", 1.7e308),
        ("leftover_mb", 10**400),
        ("leftover_mb", -(10**400)),
        ("preference", 10**400),
    ],
)
def test_a_score_exists_whatever_is_offered(policy: str, field: str, value: Any) -> None:
    fair = Candidate("a", "d", "x", 1.0, 0, 100, 1.0, None, 0)
    assert 0 <= POLICIES[policy](fair._replace(**{field: value})) < 10**14


def test_an_answer_with_an_absurd_number_is_not_read_and_the_others_are_enough(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.hear(AgentDouble("absurd"))
    desk.submit("j1")
    (call,) = {call.call_id for call in desk.take(effects.SendCall)}
    answer = CallAnswered(agent_id="absurd", incarnation="1000-x", seq=2, call_id=call, devices=[device()])
    body = msgspec.json.decode(encode(answer))
    body["devices"][0]["free_mb"] = 10**400
    with pytest.raises(WireError, match="free_mb"):
        decode(CallAnswered, msgspec.json.encode(body))
    bid = BidPlaced(
        lot=0, adapter_id="echo", device="fixed-0", claim_mb=1, slots=1, est_queue_s=0, est_load_s=0, max_concurrent=1
    )
    desk.do(
        events.CallReturned(
            CallAnswered(agent_id="a1", incarnation=agent.incarnation, seq=agent.count(), call_id=call, bids=[bid])
        )
    )
    desk.tick(desk.settings.round_deadline_s)
    assert desk.one(effects.SendAwards).agent_id == "a1"


# ---------------------------------------------------------------- schemas


@pytest.mark.parametrize(
    "schema",
    [{"$ref": "#"}, {"pattern": "a{1,99999999999}"}, {"$id": "http://[::1", "$ref": "x"}],
    ids=["refers to itself", "a pattern's bounds", "no address"],
)
def test_one_adapters_schema_costs_that_adapter_its_jobs_and_no_other(schema: dict[str, Any], desk: Desk) -> None:
    desk.hear(AgentDouble("bad", adapters=[msgspec.structs.replace(offer("bad"), parameters=schema)]))
    good = AgentDouble("good", adapters=[offer("good")])
    desk.hear(good)
    desk.submit(inputs={"anything": 1})
    assert desk.state() is JobState.QUEUED
    desk.answer_calls(good)
    desk.tick(desk.settings.round_deadline_s)
    assert [sent.agent_id for sent in desk.take(effects.SendAwards)] == ["good"]


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["²-x", "1" * 5000 + "-x", "٣-x", "-", "x"])
def test_a_life_whose_name_tells_no_time_is_as_old_as_can_be(name: str, desk: Desk) -> None:
    assert started_ms(name) == 0
    strange = AgentDouble()
    strange.incarnation = name
    desk.hear(strange)
    later = AgentDouble(born_ms=5)
    desk.hear(later)
    assert desk.engine.core.fleet.agents["a1"].advert.incarnation == "5-x"
    desk.hear(strange)
    assert desk.engine.core.fleet.agents["a1"].advert.incarnation == "5-x"


def test_what_an_agent_says_of_itself_passes_its_own_bounds(agent: AgentDouble) -> None:
    """Free memory may be overdrawn; nothing else is below zero."""
    agent.devices = [DeviceState(**{**msgspec.structs.asdict(device()), "free_mb": -100})]
    assert decode(Advert, encode(agent.advert())).devices[0].free_mb == -100
