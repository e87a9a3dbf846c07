"""What an operator does to the system's own consumers behind its back: taking from them, and removing them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest
import structlog.testing

from pocket3d.bus.names import kv_stream, object_stream
from pocket3d.bus.port import Bus, ConsumerName, Delivery
from pocket3d.bus.topology import Topology, build, coordinator_jobs, coordinator_results
from pocket3d.contracts.subjects import Subjects

from .conftest import SETTINGS


class Seen:
    """Sequences in the order of their delivery."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        self.seqs.extend(delivery.message.seq for delivery in batch)


async def remove(place: Any, consumer: ConsumerName) -> None:
    if place.kind == "memory":
        place.server.remove_consumer(consumer)
    else:
        await place.buses[0].request(f"$JS.API.CONSUMER.DELETE.{consumer.stream}.{consumer.name}", b"", timeout=5)


@pytest.mark.parametrize("place", ["jetstream"], indirect=True)
async def test_a_pull_without_the_leaders_group_is_refused(place: Any, bus: Any, s: Subjects) -> None:
    """What `nats consumer next` sends: it took a job and acked it, and nobody heard of that job again."""
    for consumer in build(s, SETTINGS).consumers:
        inbox, told = bus.nc.new_inbox(), asyncio.Event()
        said: list[Any] = []

        async def on_message(msg: Any, said: list[Any] = said, told: asyncio.Event = told) -> None:
            said.append(msg)
            told.set()

        await bus.nc.subscribe(inbox, cb=on_message)
        body = json.dumps({"batch": 1, "expires": 5_000_000_000}).encode()
        await bus.nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{consumer.stream}.{consumer.name}", body, reply=inbox)
        await asyncio.wait_for(told.wait(), 10)
        assert (said[0].headers["Status"], "Priority Group" in said[0].headers["Description"]) == ("400", True)


async def test_a_consumption_without_the_group_gets_nothing_and_one_with_it_all(
    place: Any, bus: Bus, s: Subjects
) -> None:
    jobs, other, leader = coordinator_jobs(s, "normal"), Seen(), Seen()
    await bus.consume(ConsumerName(jobs.stream, jobs.name), other)
    for n in range(10):
        await bus.append(s.job("normal", "echo"), b"%d" % n)
    await (await place.connect()).consume(jobs, leader)
    await place.eventually(lambda: leader.seqs == list(range(1, 11)))
    assert other.seqs == []


async def test_consumers_of_an_earlier_version_get_the_group_by_ensure(place: Any, bus: Bus, s: Subjects) -> None:
    topology = build(Subjects(f"{s.namespace}old"), SETTINGS)
    earlier = Topology(topology.streams, tuple(dataclasses.replace(each, group=None) for each in topology.consumers))
    assert await bus.ensure(earlier) == []
    jobs, seen = coordinator_jobs(Subjects(f"{s.namespace}old"), "normal"), Seen()
    await bus.append(Subjects(f"{s.namespace}old").job("normal", "echo"), b"")
    assert await bus.ensure(topology) == []
    assert await bus.ensure(topology) == []
    await bus.consume(ConsumerName(jobs.stream, jobs.name), Seen())
    await bus.consume(jobs, seen)
    await place.eventually(lambda: seen.seqs == [1])


async def test_a_removed_consumer_of_jobs_is_made_again_and_said_once(place: Any, bus: Bus, s: Subjects) -> None:
    jobs, seen = coordinator_jobs(s, "normal"), Seen()
    await bus.consume(jobs, seen)
    for n in range(3):
        await bus.append(s.job("normal", "echo"), b"%d" % n)
    await place.eventually(lambda: len(seen.seqs) == 3)
    await bus.ack(jobs, 2)
    with structlog.testing.capture_logs() as logs:
        await remove(place, jobs)
        await bus.append(s.job("normal", "echo"), b"after")
        await place.eventually(lambda: 4 in seen.seqs)
    said = [entry for entry in logs if "was removed" in entry["event"]]
    assert [(entry["consumer"], entry["log_level"]) for entry in said] == [(jobs.name, "warning")]
    # What is not acked comes again; what is acked does not.
    await place.eventually(lambda: {1, 3} <= set(seen.seqs[3:]))
    assert 2 not in seen.seqs[3:]
    assert await bus.backlog(jobs) == 3


async def test_a_removed_consumer_of_results_goes_on_where_it_stood(place: Any, bus: Bus, s: Subjects) -> None:
    """The stream keeps its messages for weeks: they must not all come again."""
    results, seen = coordinator_results(s), Seen()
    await bus.consume(results, seen)
    for n in range(5):
        await bus.append(s.proposal("echo", f"j{n}"), b"")
    await place.eventually(lambda: len(seen.seqs) == 5)
    for seq in (1, 2, 3, 4):
        await bus.ack(results, seq)
    await remove(place, results)
    await bus.append(s.proposal("echo", "j5"), b"after")
    await place.eventually(lambda: 6 in seen.seqs)
    assert seen.seqs[5:] == [5, 6]


async def test_after_a_take_over_it_goes_on_from_there(place: Any, bus: Bus, s: Subjects) -> None:
    results, before, after = coordinator_results(s), Seen(), Seen()
    consumption = await bus.consume(results, before)
    for n in range(3):
        await bus.append(s.proposal("echo", f"j{n}"), b"")
    await place.eventually(lambda: len(before.seqs) == 3)
    for seq in (1, 2, 3):
        await bus.ack(results, seq)
    await consumption.close()
    leader = await place.connect()
    assert await leader.ensure(build(s, SETTINGS)) == []
    await leader.take_over(results)
    await leader.consume(results, after)
    await place.eventually(lambda: after.seqs == [])
    await remove(place, results)
    await leader.append(s.proposal("echo", "j3"), b"after")
    await place.eventually(lambda: after.seqs == [4])


async def test_who_may_not_pull_makes_nothing_again(place: Any, bus: Bus, s: Subjects) -> None:
    jobs, standby, leader = coordinator_jobs(s, "normal"), Seen(), Seen()
    await bus.consume(jobs, standby, allowed=lambda: False)
    with structlog.testing.capture_logs() as logs:
        await remove(place, jobs)
        other = await place.connect()
        assert await other.ensure(build(s, SETTINGS)) == []
        await other.consume(jobs, leader)
        await bus.append(s.job("normal", "echo"), b"")
        await place.eventually(lambda: leader.seqs == [1])
    assert not [entry for entry in logs if "was removed" in entry["event"]]


async def test_removed_streams_are_missing_until_they_are_made_again(place: Any, bus: Bus, s: Subjects) -> None:
    topology = build(s, SETTINGS)
    assert await bus.missing(topology) == []
    removed = [kv_stream(s.status_bucket), object_stream(s.outputs_bucket)]
    for name in removed:
        if place.kind == "memory":
            place.server.remove_stream(name)
        else:
            await bus.request(f"$JS.API.STREAM.DELETE.{name}", b"", timeout=5)
    assert await bus.missing(topology) == removed
    assert await bus.ensure(topology) == []
    assert await bus.missing(topology) == []
