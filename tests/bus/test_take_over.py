"""Taking a consumer away from whoever pulls it, and pulling only while one may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from pocket3d.bus.port import Bus, Delivery
from pocket3d.bus.topology import coordinator_jobs, coordinator_results
from pocket3d.contracts.subjects import Subjects


class Seen:
    """Sequences in the order of their delivery."""

    def __init__(self) -> None:
        self.seqs: list[int] = []

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        self.seqs.extend(delivery.message.seq for delivery in batch)


async def test_what_is_not_acked_comes_again_and_the_rest_does_not(place: Any, bus: Bus, s: Subjects) -> None:
    results, before, after = coordinator_results(s), Seen(), Seen()
    for n in range(4):
        await bus.append(s.proposal("echo", f"j{n}"), b"")
    consumption = await bus.consume(results, before)
    await place.eventually(lambda: len(before.seqs) == 4)
    for seq in (1, 2, 4):
        await bus.ack(results, seq)
    await consumption.close()
    await bus.take_over(results)
    # Above the first that is not acked all come again, the acked ones too: their reader knows them.
    assert await bus.backlog(results) in (1, 2)
    await bus.consume(results, after)
    await place.eventually(lambda: 3 in after.seqs)
    assert min(after.seqs) == 3
    await bus.append(s.proposal("echo", "j4"), b"")
    await place.eventually(lambda: after.seqs[-1] == 5)


async def test_a_job_that_was_acked_does_not_come_again(place: Any, bus: Bus, s: Subjects) -> None:
    jobs, before, after = coordinator_jobs(s, "normal"), Seen(), Seen()
    for n in range(3):
        await bus.append(s.job("normal", "echo"), b"%d" % n)
    consumption = await bus.consume(jobs, before)
    await place.eventually(lambda: len(before.seqs) == 3)
    await bus.ack(jobs, 2)
    await consumption.close()
    await bus.take_over(jobs)
    assert await bus.backlog(jobs) == 2
    await bus.consume(jobs, after)
    await place.eventually(lambda: len(after.seqs) == 2)
    assert after.seqs == [1, 3]


async def test_nothing_is_taken_while_it_is_not_allowed(place: Any, bus: Bus, s: Subjects) -> None:
    jobs, seen, other = coordinator_jobs(s, "normal"), Seen(), Seen()
    may = False
    await bus.consume(jobs, seen, allowed=lambda: may)
    leader = await place.connect()
    consumption = await leader.consume(jobs, other)
    for n in range(20):
        await bus.append(s.job("normal", "echo"), b"%d" % n)
    await place.eventually(lambda: len(other.seqs) == 20)
    assert seen.seqs == []
    await consumption.close()
    may = True
    await bus.take_over(jobs)
    await place.eventually(lambda: len(seen.seqs) == 20)


@pytest.mark.parametrize("place", ["jetstream"], indirect=True)
async def test_the_pull_of_a_process_that_sleeps_ends(place: Any, bus: Any, s: Subjects) -> None:
    jobs, after = coordinator_jobs(s, "normal"), Seen()
    inbox = bus.nc.new_inbox()
    said: list[Any] = []

    async def on_message(msg: Any) -> None:
        said.append(msg)

    await bus.nc.subscribe(inbox, cb=on_message)
    body = json.dumps({"batch": 50, "expires": 30_000_000_000, "group": jobs.group}).encode()
    await bus.nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{jobs.stream}.{jobs.name}", body, reply=inbox)
    await bus.nc.flush()
    await bus.take_over(jobs)
    await bus.consume(jobs, after)
    await asyncio.gather(*(bus.append(s.job("normal", "echo"), b"%d" % n) for n in range(20)))
    await place.eventually(lambda: len(after.seqs) == 20)
    assert [msg.headers["Status"] for msg in said] == ["409"], "it was told, and was given nothing"
