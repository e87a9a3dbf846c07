"""A results stream of the former form: `ensure` leaves it, the switch changes its intake and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.jetstream.reader import Reader
from pocket3d.bus.jetstream.switch import crowded, switch
from pocket3d.bus.port import Conflict, Expect, Refused
from pocket3d.bus.topology import Topology, build
from pocket3d.contracts.subjects import Subjects
from support.former_results import former, results
from support.nats_fixture import NatsProcess

S = Subjects("switched")


@pytest.fixture
async def bus(own_server: NatsProcess) -> AsyncIterator[JetStreamBus]:
    """A server with a former results stream that has been in use."""
    # Of its own: on 2.15.1 a stream that is removed and made again at once may have its old messages.
    connected = await JetStreamBus.connect(ConnectOptions(servers=(own_server.url,)))
    try:
        assert await connected.ensure(Topology((former(S),))) == []
        await connected.append(S.result("echo", "a"), b"1", expect=Expect(0, S.result_of("a")))
        yield connected
    finally:
        await connected.close()


async def test_ensure_leaves_the_intake_and_widens_the_rest(bus: JetStreamBus) -> None:
    wider = dataclasses.replace(results(S), max_age_s=results(S).max_age_s * 2)
    (left,) = await bus.ensure(Topology((wider,)))
    assert "p3d" not in left and "switched.results.*.*, wanted switched.propose.*.*" in left
    assert "pocket3d topology --switch-results" in left
    have = (await bus.reader.info(S.results_stream)).config
    assert (have["subjects"], have["discard"], have["max_msgs_per_subject"]) == ([S.all_results()], "old", -1)
    assert have["max_age"] == wider.config()["max_age"]


async def test_the_switch_keeps_what_is_stored_and_who_reads(bus: JetStreamBus) -> None:
    consumers = tuple(each for each in build(S).consumers if each.stream == S.results_stream)
    assert await bus.ensure(Topology((), consumers)) == []
    before = (await bus.reader.info(S.results_stream)).config
    await switch(bus.reader, results(S))
    after = (await bus.reader.info(S.results_stream)).config
    assert {key for key in after if after[key] != before.get(key)} == {
        "subjects",
        "subject_transform",
        "republish",
        "discard",
        "discard_new_per_subject",
        "max_msgs_per_subject",
    }
    assert await bus.ensure(Topology((results(S),), consumers)) == []
    assert await bus.backlog(consumers[0].consumer) == 1
    with pytest.raises(Conflict):
        await bus.append(S.proposal("echo", "a"), b"2")
    assert await bus.append(S.proposal("echo", "b"), b"3", expect=Expect(0, S.result_of("b"))) == 2
    assert [m.data for m in await bus.pages(S.results_stream, S.all_results(), start=1, limit=9)] == [b"1", b"3"]


async def test_a_former_coordinator_does_not_undo_it(bus: JetStreamBus) -> None:
    await switch(bus.reader, results(S))
    left = await bus.ensure(Topology((former(S),)))
    assert any("10052" in each for each in left), "the server refuses its update"
    assert await bus.stream_takes(S.results_stream) == [S.all_proposals()]


async def test_subjects_with_two_messages_are_found(bus: JetStreamBus) -> None:
    for job_id in ("b", "a", "c", "c"):
        await bus.append(S.result("echo", job_id), b"2")
    assert await crowded(bus.reader, S.results_stream, 1) == {S.result("echo", "a"): 2, S.result("echo", "c"): 2}


class _Listing:
    """A connection to a server that lists two subjects at a time, where nats-server lists 100,000."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts

    async def request(self, subject: str, data: bytes, timeout: float, headers: Any) -> Any:
        first = json.loads(data)["offset"]
        page = dict(list(self.counts.items())[first : first + 2])
        body = {"total": len(self.counts), "offset": first, "limit": 2, "state": {"subjects": page}}
        return type("Answer", (), {"data": json.dumps(body).encode()})()


@pytest.mark.parametrize("total", [0, 1, 2, 4, 5])
async def test_they_are_found_on_every_page(total: int) -> None:
    counts = {f"s{number}": 1 + number % 2 for number in range(total)}
    reader = Reader(_Listing(counts))  # type: ignore[arg-type]
    assert await crowded(reader, "X", 1) == {subject: 2 for subject, count in counts.items() if count == 2}


async def test_a_stream_that_is_not_there(bus: JetStreamBus) -> None:
    spec = dataclasses.replace(results(S), name="NOWHERE")
    with pytest.raises(Refused) as caught:
        await switch(bus.reader, spec)
    assert caught.value.code == 10059
