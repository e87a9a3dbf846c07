"""Core messages: what every bus does with publish, subscribe, request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.port import Append, Bus, Disconnected, Msg, NoResponders, OutcomeUnknown, Refused, TooLarge


def test_each_bus_has_every_method_of_the_port() -> None:
    # A class that inherits a protocol inherits its empty methods too, and would answer None.
    names = [name for name in vars(Bus) if not name.startswith("_")]
    assert "append_batch" in names
    for implementation in (MemoryBus, JetStreamBus):
        missing = [name for name in names if getattr(implementation, name) is vars(Bus)[name]]
        assert missing == []


async def test_a_subscriber_gets_messages_in_order_with_headers(place: Any, bus: Bus) -> None:
    got: list[Msg] = []

    async def handler(msg: Msg) -> None:
        got.append(msg)

    other = await place.connect()
    await other.subscribe(f"{place.subjects.namespace}.core.*", handler)
    for number in range(100):
        await bus.publish(f"{place.subjects.namespace}.core.{number}", b"%d" % number, {"Kind": "test"})
    await place.eventually(lambda: len(got) == 100)
    assert [msg.data for msg in got] == [b"%d" % number for number in range(100)]
    assert got[7].subject == f"{place.subjects.namespace}.core.7"
    assert got[7].headers == {"Kind": "test"}
    assert got[7].reply == ""


async def test_a_closed_subscription_gets_nothing(place: Any, bus: Bus) -> None:
    ours, others = [], []

    async def first(msg: Msg) -> None:
        ours.append(msg)

    async def second(msg: Msg) -> None:
        others.append(msg)

    subject = f"{place.subjects.namespace}.core"
    subscription = await bus.subscribe(subject, first)
    await bus.subscribe(subject, second)
    await subscription.close()
    await subscription.close()
    await bus.publish(subject, b"x")
    await place.eventually(lambda: others)
    assert ours == []


async def test_one_of_a_queue_group_gets_each_message(place: Any, bus: Bus) -> None:
    got: list[bytes] = []
    all_of_them: list[bytes] = []
    subject = f"{place.subjects.namespace}.core"

    async def member(msg: Msg) -> None:
        got.append(msg.data)

    async def observer(msg: Msg) -> None:
        all_of_them.append(msg.data)

    for _ in range(3):
        await (await place.connect()).subscribe(subject, member, queue="group")
    await bus.subscribe(subject, observer)
    for number in range(60):
        await bus.publish(subject, b"%d" % number)
    await place.eventually(lambda: len(got) >= 60 and len(all_of_them) == 60)
    assert sorted(got) == sorted(all_of_them)


async def test_an_exception_of_a_handler_ends_nothing(place: Any, bus: Bus) -> None:
    got: list[bytes] = []
    subject = f"{place.subjects.namespace}.core"

    async def handler(msg: Msg) -> None:
        if msg.data == b"bad":
            raise ValueError("this one I do not like")
        got.append(msg.data)

    await bus.subscribe(subject, handler)
    for data in (b"1", b"bad", b"2"):
        await bus.publish(subject, data)
    await place.eventually(lambda: got == [b"1", b"2"])


async def test_request_and_answer(place: Any, bus: Bus) -> None:
    subject = f"{place.subjects.namespace}.ask"
    other = await place.connect()

    async def handler(msg: Msg) -> None:
        await other.respond(msg, b"you said " + msg.data, {"From": "other"})
        await other.respond(msg, b"a second answer is nobody's")

    await other.subscribe(subject, handler)
    answers = await asyncio.gather(*(bus.request(subject, b"%d" % n, timeout=5) for n in range(50)))
    assert [answer.data for answer in answers] == [b"you said %d" % n for n in range(50)]
    assert answers[0].headers == {"From": "other"}


async def test_a_message_that_wants_no_answer_is_answered_without_harm(bus: Bus) -> None:
    await bus.respond(Msg("x", b"", {}, ""), b"nobody asked")


async def test_nobody_listens(place: Any, bus: Bus) -> None:
    with pytest.raises(NoResponders):
        await bus.request(f"{place.subjects.namespace}.nobody", b"", timeout=5)


async def test_no_answer_in_time(place: Any, bus: Bus) -> None:
    subject = f"{place.subjects.namespace}.silent"
    heard: list[Msg] = []

    async def handler(msg: Msg) -> None:
        heard.append(msg)

    await bus.subscribe(subject, handler)
    asking = asyncio.ensure_future(bus.request(subject, b"", timeout=0.2))
    await place.eventually(asking.done)
    with pytest.raises(OutcomeUnknown):
        asking.result()
    assert len(heard) == 1


async def test_too_large_with_its_headers_is_refused_before_it_is_sent(place: Any, bus: Bus) -> None:
    subject = f"{place.subjects.namespace}.core"
    limit = bus.max_payload
    with pytest.raises(TooLarge) as caught:
        await bus.publish(subject, b"x" * (limit + 1))
    assert (caught.value.size, caught.value.limit) == (limit + 1, limit)
    # The server counts headers too, and ends the connection of a client that does not.
    with pytest.raises(TooLarge):
        await bus.publish(subject, b"x" * (limit - 10), {"Some": "header"})
    with pytest.raises(TooLarge):
        await bus.request(subject, b"x" * (limit + 1), timeout=1)
    with pytest.raises(TooLarge):
        await bus.append(place.subjects.job("normal", "echo"), b"x" * (limit + 1))
    assert bus.connected
    assert await bus.append(place.subjects.job("normal", "echo"), b"x" * limit) == 1


async def test_after_close_nothing_works(place: Any) -> None:
    bus = await place.connect()
    await bus.close()
    await bus.close()
    assert not bus.connected
    with pytest.raises(Disconnected):
        await bus.publish("x", b"")


async def test_loss_and_return_of_the_connection(fragile: Any) -> None:
    bus: Bus = fragile.buses[0]
    subject = f"{fragile.subjects.namespace}.core"
    got: list[bytes] = []
    seen: list[bool] = []

    async def handler(msg: Msg) -> None:
        got.append(msg.data)

    def broken(up: bool) -> None:
        raise RuntimeError("a callback's mistake")

    bus.on_connection(broken)
    bus.on_connection(seen.append)
    await bus.subscribe(subject, handler)
    asking = asyncio.ensure_future(bus.request(subject, b"asked before", timeout=60))
    await fragile.eventually(lambda: got == [b"asked before"])
    await fragile.cut()
    assert not bus.connected
    # The request ends with the connection, not a minute later.
    await fragile.eventually(asking.done, 3.0)
    with pytest.raises(OutcomeUnknown):
        asking.result()
    for refused in (
        bus.publish(subject, b"lost"),
        bus.append(fragile.subjects.job("high", "echo"), b"lost"),
        bus.kv_get(fragile.subjects.agents_bucket, "x"),
        bus.subscribe(subject, handler),
    ):
        with pytest.raises(Disconnected):
            await refused
    await fragile.mend()
    await fragile.eventually(lambda: seen == [False, True])
    await bus.publish(subject, b"back")
    await fragile.eventually(lambda: got == [b"asked before", b"back"])
    assert await bus.last_seq(fragile.subjects.jobs_stream) == 0


@pytest.mark.parametrize(
    "token",
    ["a b", "a\r\nPUB x 0\r\n", "\t", 5000 * "x", 2000 * "\u00e9"],
    ids=["a space", "a line", "a tab", "long", "long in bytes"],
)
async def test_what_is_no_subject_is_refused_and_costs_no_connection(place: Any, bus: Bus, token: str) -> None:
    lost: list[bool] = []
    bus.on_connection(lost.append)
    subject = place.subjects.event("echo", token, "queued")
    fine = Append(place.subjects.event("echo", "j1", "queued"), b"{}")
    for sent in (
        bus.publish(subject, b"x"),
        bus.request(subject, b"x", timeout=1.0),
        bus.append(subject, b"x"),
        bus.append_batch([fine, Append(subject, b"x")]),
        bus.append_batch([Append(subject, b"x"), fine]),
        bus.kv_put(place.subjects.agents_bucket, token, b"x"),
    ):
        with pytest.raises(Refused, match="subject"):
            await sent
    assert await bus.last_seq(place.subjects.events_stream) == 0
    assert (bus.connected, lost) == (True, [])


async def test_an_empty_subject_is_none(bus: Bus) -> None:
    with pytest.raises(Refused, match="empty"):
        await bus.publish("", b"x")
