"""Durable consumers: delivery, acks, redelivery, reset."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pocket3d.bus.port import Bus, ConsumerName, Delivery, OutcomeUnknown, Refused
from pocket3d.bus.topology import ConsumerSpec, Topology, coordinator_jobs, coordinator_results
from pocket3d.contracts.subjects import Subjects


class Seen:
    """A handler that notes what it is given."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.batches: list[int] = []
        self.fail = False

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        if self.fail:
            self.fail = False
            raise RuntimeError("this batch I could not handle")
        self.batches.append(len(batch))
        self.deliveries.extend(batch)

    @property
    def seqs(self) -> list[int]:
        return [delivery.message.seq for delivery in self.deliveries]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def jobs(s: Subjects) -> ConsumerName:
    return coordinator_jobs(s, "normal")


async def publish_jobs(bus: Bus, s: Subjects, count: int) -> None:
    await asyncio.gather(*(bus.append(s.job("normal", "echo"), b"%d" % n) for n in range(count)))


async def test_delivered_in_order_and_gone_when_acked(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 50)
    await bus.append(s.job("high", "echo"), b"of another priority")
    consumption = await bus.consume(jobs, seen, batch=16)
    await place.eventually(lambda: len(seen.deliveries) == 50)
    assert seen.seqs == list(range(1, 51))
    assert max(seen.batches) <= 16
    first = seen.deliveries[0]
    assert (first.delivered, first.message.data, first.message.stream) == (1, b"0", s.jobs_stream)
    assert first.message.subject == s.job("normal", "echo")
    assert await bus.backlog(jobs) == 50
    await asyncio.gather(*(bus.ack(jobs, seq) for seq in seen.seqs))
    assert await bus.backlog(jobs) == 0
    left = await bus.pages(s.jobs_stream, ">", start=1, limit=100)
    assert [message.data for message in left] == [b"of another priority"]
    await consumption.close()
    await consumption.close()


async def test_what_comes_later_is_delivered_too(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await bus.consume(jobs, seen, batch=2)
    for count in range(1, 6):
        await bus.append(s.job("normal", "echo"), b"")
        await place.eventually(lambda count=count: len(seen.deliveries) == count)
    assert seen.seqs == [1, 2, 3, 4, 5]


async def test_a_second_ack_and_one_of_nothing_do_nothing(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 2)
    await bus.consume(jobs, seen)
    await place.eventually(lambda: len(seen.deliveries) == 2)
    stranger = await place.connect()
    await stranger.ack(jobs, 1)
    await stranger.ack(jobs, 1)
    await bus.ack(jobs, 1)
    assert await bus.get(s.jobs_stream, 1) is None
    assert await bus.get(s.jobs_stream, 2) is not None


async def test_unacked_messages_come_again_after_the_ack_wait(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 3)
    await bus.consume(jobs, seen)
    await place.eventually(lambda: len(seen.deliveries) == 3)
    await bus.ack(jobs, 2)
    await place.eventually(lambda: len(seen.deliveries) >= 5)
    again = seen.deliveries[3:5]
    assert sorted((delivery.message.seq, delivery.delivered) for delivery in again) == [(1, 2), (3, 2)]
    await bus.ack(jobs, 1)
    await bus.ack(jobs, 3)
    assert await bus.backlog(jobs) == 0


async def test_a_batch_whose_handler_failed_comes_again(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    seen.fail = True
    await publish_jobs(bus, s, 1)
    await bus.consume(jobs, seen)
    await place.eventually(lambda: seen.deliveries)
    assert seen.deliveries[0].delivered == 2


async def test_reset_delivers_all_unacked_again(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 10)
    consumption = await bus.consume(jobs, seen)
    await place.eventually(lambda: len(seen.deliveries) == 10)
    for seq in (1, 2, 5):
        await bus.ack(jobs, seq)
    await consumption.close()
    await bus.reset(jobs)
    fresh = Seen()
    new_leader = await place.connect()
    await new_leader.consume(jobs, fresh)
    await place.eventually(lambda: len(fresh.deliveries) >= 7)
    assert fresh.seqs[:7] == [3, 4, 6, 7, 8, 9, 10]
    assert all(delivery.delivered == 1 for delivery in fresh.deliveries[:7])
    await asyncio.gather(*(new_leader.ack(jobs, seq) for seq in set(fresh.seqs)))
    assert await new_leader.backlog(jobs) == 0


async def test_a_delivered_message_that_is_removed_is_not_waited_for(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 3)
    consumption = await bus.consume(jobs, seen)
    await place.eventually(lambda: len(seen.deliveries) == 3)
    assert await bus.delete(s.jobs_stream, 2)
    left = 3
    for _ in range(100):
        left = await bus.backlog(jobs)
        if left == 2:
            break
    assert left == 2
    await consumption.close()


async def test_reset_under_a_running_consumption(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 5)
    await bus.consume(jobs, seen)
    await place.eventually(lambda: len(seen.deliveries) == 5)
    await bus.reset(jobs)
    # Acked before it has come again: the ack waits for that.
    acking = asyncio.ensure_future(bus.ack(jobs, 4))
    await place.eventually(lambda: len(seen.deliveries) >= 9 and acking.done())
    acking.result()
    assert await bus.get(s.jobs_stream, 4) is None
    assert set(seen.seqs[5:]) >= {1, 2, 3, 5}


async def test_an_ack_of_what_was_never_delivered_is_not_confirmed(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName
) -> None:
    await publish_jobs(bus, s, 1)
    acking = asyncio.ensure_future(bus.ack(jobs, 1))
    await place.eventually(acking.done)
    with pytest.raises(OutcomeUnknown):
        acking.result()
    assert await bus.get(s.jobs_stream, 1) is not None


async def test_thousands_unacked_stop_nothing(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    await publish_jobs(bus, s, 2500)
    await bus.consume(jobs, seen)
    await place.eventually(lambda: len(set(seen.seqs)) == 2500)


async def test_messages_of_a_limits_stream_stay_and_are_acked_once(
    place: Any, bus: Bus, s: Subjects, seen: Seen
) -> None:
    results = coordinator_results(s)
    for n in range(4):
        await bus.append(s.proposal("echo", f"j{n}"), b"")
    consumption = await bus.consume(results, seen)
    await place.eventually(lambda: len(seen.deliveries) == 4)
    for seq in (1, 2):
        await bus.ack(results, seq)
    await consumption.close()
    assert await bus.backlog(results) == 2
    await bus.reset(results)
    fresh = Seen()
    await bus.consume(results, fresh)
    await place.eventually(lambda: len(fresh.deliveries) >= 2)
    assert fresh.seqs[:2] == [3, 4]
    assert await bus.get(s.results_stream, 1) is not None


async def test_two_consumptions_share_the_work(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName, seen: Seen
) -> None:
    other = Seen()
    await bus.consume(jobs, seen, batch=4)
    await (await place.connect()).consume(jobs, other, batch=4)
    await publish_jobs(bus, s, 100)
    await place.eventually(lambda: len(set(seen.seqs) | set(other.seqs)) == 100, 0.9)
    assert not set(seen.seqs) & set(other.seqs)


async def test_what_was_pulled_and_not_handled_goes_back_on_close(
    place: Any, bus: Bus, s: Subjects, jobs: ConsumerName
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    handled: list[int] = []

    async def slow(batch: Sequence[Delivery]) -> None:
        begun.set()
        await go_on.wait()
        handled.extend(delivery.message.seq for delivery in batch)

    consumption = await bus.consume(jobs, slow, batch=100)
    await bus.append(s.job("normal", "echo"), b"")
    await place.eventually(begun.is_set)
    await publish_jobs(bus, s, 20)
    closing = asyncio.ensure_future(consumption.close())
    await asyncio.sleep(0)
    go_on.set()
    await place.eventually(closing.done)
    rest = Seen()
    await bus.consume(jobs, rest)
    await place.eventually(lambda: set(handled) | set(rest.seqs) == set(range(1, 22)))


async def test_a_consumption_may_begin_before_its_consumer_is_there(
    place: Any, bus: Bus, s: Subjects, seen: Seen
) -> None:
    spec = ConsumerSpec(s.results_stream, "subscriber", s.results_of_feature("echo"), "a subscriber of results")
    await bus.consume(spec.consumer, seen)
    await bus.append(s.proposal("echo", "a"), b"before")
    assert await bus.ensure(Topology(consumers=(spec,))) == []
    await place.eventually(lambda: seen.deliveries)
    assert seen.deliveries[0].message.data == b"before"


async def test_no_such_consumer(bus: Bus, s: Subjects) -> None:
    nobody = ConsumerName(s.jobs_stream, "nobody")
    for asked in (bus.backlog(nobody), bus.reset(nobody)):
        with pytest.raises(Refused) as caught:
            await asked
        assert caught.value.code == 10014


async def test_consumption_goes_on_after_the_connection_was_lost(fragile: Any) -> None:
    bus, s, seen = fragile.buses[0], fragile.subjects, Seen()
    jobs = coordinator_jobs(s, "normal")
    await bus.consume(jobs, seen)
    await publish_jobs(bus, s, 10)
    await fragile.eventually(lambda: len(seen.deliveries) == 10)
    await bus.ack(jobs, 1)
    await fragile.cut()
    await fragile.mend()
    await bus.append(s.job("normal", "echo"), b"after")
    await fragile.eventually(lambda: 11 in seen.seqs, 3.0)
    # An ack needs nothing from before the restart but the sequence.
    await bus.ack(jobs, 2)
    await bus.ack(jobs, 11)
    assert [m.seq for m in await bus.pages(s.jobs_stream, ">", start=1, limit=99)] == [3, 4, 5, 6, 7, 8, 9, 10]
