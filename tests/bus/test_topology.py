"""The topology as data, and what `ensure` makes of it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from pocket3d.bus.jetstream.ensure import widen
from pocket3d.bus.port import Bus, Refused
from pocket3d.bus.topology import (
    ConsumerSpec,
    StreamSpec,
    Topology,
    TopologySettings,
    build,
    coordinator_jobs,
    coordinator_results,
)
from pocket3d.contracts.subjects import Subjects

P3D = Subjects()


def stream(name: str) -> StreamSpec:
    return next(spec for spec in build(P3D).streams if spec.name == name)


def test_names_are_the_wires() -> None:
    topology = build(P3D)
    assert [spec.name for spec in topology.streams] == [
        "P3D_JOBS",
        "P3D_EVENTS",
        "P3D_RESULTS",
        "P3D_DEAD",
        "P3D_PROGRESS",
        "KV_P3D_STATUS",
        "KV_P3D_AGENTS",
        "KV_P3D_LEADER",
        "OBJ_P3D_INPUTS",
        "OBJ_P3D_OUTPUTS",
    ]
    assert [spec.consumer for spec in topology.consumers] == [
        *(coordinator_jobs(P3D, priority) for priority in ("high", "normal", "low")),
        coordinator_results(P3D),
    ]
    specs: list[Any] = [*topology.streams, *topology.consumers]
    assert all(spec.description and spec.metadata for spec in specs)


def test_what_the_design_asks_of_each_stream() -> None:
    jobs = stream("P3D_JOBS").config()
    assert jobs["subjects"] == ["p3d.jobs.high.*", "p3d.jobs.normal.*", "p3d.jobs.low.*"]
    assert (jobs["retention"], jobs["storage"], jobs["discard"]) == ("workqueue", "file", "new")
    events, results = stream("P3D_EVENTS"), stream("P3D_RESULTS")
    assert events.subjects == ("p3d.events.*.*.*", "p3d.events.leader")
    assert events.allow_atomic
    assert events.max_age_s > results.max_age_s
    assert stream("OBJ_P3D_OUTPUTS").max_age_s > results.max_age_s
    progress = stream("P3D_PROGRESS")
    assert (progress.storage, progress.max_msgs_per_subject, progress.max_age_s) == ("memory", 1, 3600)
    assert "subjects" not in stream("KV_P3D_STATUS").config()
    for consumer in build(P3D).consumers:
        assert consumer.max_ack_pending == -1


@pytest.mark.parametrize("wrong", [{"replicas": 2}, {"leader_lease_s": 0}, {"results_max_age_s": -1}])
def test_settings_refuse_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TopologySettings(**wrong)


def test_widening_is_pure() -> None:
    have = stream("P3D_RESULTS").config()
    assert widen("it", {**have, "metadata": {**have["metadata"], "_nats.ver": "2"}}, have) == (None, [])
    wider = {**have, "max_age": have["max_age"] * 2, "subjects": [*have["subjects"], "more.*"], "description": "new"}
    config, left = widen("it", {**have, "compression": "s2"}, wider)
    assert config == {**wider, "compression": "s2"}
    assert left == []


@pytest.mark.parametrize(
    ("key", "have", "want", "changes"),
    [
        ("max_msgs", 5, 10, True),
        ("max_msgs", 5, -1, True),
        ("max_msgs", 10, 5, False),
        ("max_msgs", -1, 5, False),
        ("max_age", 0, 5, False),
        ("num_replicas", 1, 3, True),
        ("num_replicas", 3, 1, False),
        ("storage", "file", "memory", False),
        ("retention", "limits", "workqueue", False),
        ("allow_atomic", None, True, True),
        ("allow_direct", True, False, False),
        ("ack_wait", 5, 1, True),
        ("max_ack_pending", 1000, -1, True),
        ("filter_subject", "a", "b", False),
    ],
)
def test_what_may_be_widened(key: str, have: Any, want: Any, changes: bool) -> None:
    config, left = widen("it", {key: have}, {key: want})
    if changes:
        assert (config, left) == ({key: want}, [])
    else:
        assert config is None
        assert len(left) == 1 and key in left[0]


async def test_ensure_twice_says_nothing(bus: Bus, s: Subjects) -> None:
    topology = build(Subjects(f"{s.namespace}again"))
    assert await bus.ensure(topology) == []
    assert await bus.ensure(topology) == []


async def test_ensure_widens_and_refuses_to_shrink(bus: Bus, s: Subjects) -> None:
    name = f"{s.namespace.upper()}_EXTRA"
    spec = StreamSpec(name, (f"{s.namespace}.extra.a",), "extra", max_msgs=100, metadata={"who": "test"})
    consumer = ConsumerSpec(name, "reader", f"{s.namespace}.extra.*", "reads", ack_wait_s=5)
    assert await bus.ensure(Topology((spec,), (consumer,))) == []
    await bus.append(f"{s.namespace}.extra.a", b"kept")

    wider = dataclasses.replace(
        spec, subjects=(f"{s.namespace}.extra.a", f"{s.namespace}.extra.b"), max_msgs=200, description="more"
    )
    slower = dataclasses.replace(consumer, ack_wait_s=50)
    assert await bus.ensure(Topology((wider,), (slower,))) == []
    assert await bus.append(f"{s.namespace}.extra.b", b"new subject") == 2

    left = await bus.ensure(Topology((dataclasses.replace(wider, max_msgs=1, storage="memory"),)))
    assert len(left) == 2
    assert any("max_msgs is 200, wanted 1" in line for line in left)
    assert any("storage" in line for line in left)
    left = await bus.ensure(Topology((spec,)))
    assert any(f"{s.namespace}.extra.b" in line for line in left)
    assert [m.data for m in await bus.pages(name, ">", start=1, limit=9)] == [b"kept", b"new subject"]


async def test_two_at_once(place: Any, bus: Bus, s: Subjects) -> None:
    other = await place.connect()
    topology = build(Subjects(f"{s.namespace}b"))
    first, second = await asyncio.gather(bus.ensure(topology), other.ensure(topology))
    assert first == [] and second == []


async def test_overlapping_subjects_are_refused_by_name(bus: Bus, s: Subjects) -> None:
    spec = StreamSpec(f"{s.namespace.upper()}_RIVAL", (s.all_proposals(),), "takes another stream's subjects")
    with pytest.raises(Refused, match="RIVAL") as caught:
        await bus.ensure(Topology((spec,)))
    assert caught.value.code == 10065
