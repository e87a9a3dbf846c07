"""What only a real server can do to us: die, come back, forget a consumer, deny, close us for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.jetstream.pull import parse_delivery
from pocket3d.bus.jetstream.reader import Answer, Reader, parse_headers
from pocket3d.bus.port import Append, BusError, Delivery, Disconnected, Expect, Msg, OutcomeUnknown, Refused
from pocket3d.bus.topology import TopologySettings, build, coordinator_jobs
from pocket3d.contracts.subjects import Subjects
from support.nats_fixture import NatsProcess

S = Subjects()
JOBS = coordinator_jobs(S, "normal")


async def until(condition: Any, seconds: float = 10.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


@pytest.fixture
async def bus(own_server: NatsProcess) -> AsyncIterator[JetStreamBus]:
    made = await JetStreamBus.connect(ConnectOptions(servers=(own_server.url,), reconnect_wait_s=0.05))
    await made.ensure(build(S, TopologySettings(jobs_ack_wait_s=30)))
    yield made
    await made.close()


async def restart(server: NatsProcess, bus: JetStreamBus) -> None:
    await asyncio.to_thread(server.kill)
    await until(lambda: not bus.connected)
    await asyncio.to_thread(server.start)
    await until(lambda: bus.connected)


async def test_the_server_holds_what_we_declared(bus: JetStreamBus) -> None:
    answer = await bus.request("$JS.API.CONSUMER.INFO.P3D_JOBS.coordinator-high", b"", timeout=5)
    config = json.loads(answer.data)["config"]
    assert (config["max_ack_pending"], config["filter_subject"]) == (-1, "p3d.jobs.high.*")
    assert config["description"]
    assert config["metadata"]["pocket3d.namespace"] == "p3d"


async def test_a_flood_through_three_kills_loses_nothing(own_server: NatsProcess, bus: JetStreamBus) -> None:
    """A writer with CAS and read-back, a consumer that acks: each message stored once, delivered, and gone."""
    total, stored, seen = 400, 0, set()

    async def handler(batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            seen.add(delivery.message.data)
            try:
                await bus.ack(JOBS, delivery.message.seq)
            except BusError:
                # Killed meanwhile. The reset at the end delivers it again.
                continue

    consumption = await bus.consume(JOBS, handler)

    async def write() -> None:
        nonlocal stored
        for number in range(total):
            subject = S.job("normal", f"f{number}")
            proposal, result = S.proposal("echo", f"j{number}"), S.result("echo", f"j{number}")
            while True:
                try:
                    await bus.append(proposal, b"%d" % number, expect=Expect(0), timeout=2.0)
                    break
                except Disconnected:
                    await asyncio.sleep(0.01)
                except BusError:
                    await asyncio.sleep(0.01)
                    try:
                        if await bus.last(S.results_stream, result) is not None:
                            break
                    except BusError:
                        continue
            while True:
                try:
                    await bus.append(subject, b"%d" % number, headers={"Nats-Msg-Id": f"m{number}"}, timeout=2.0)
                    break
                except BusError:
                    await asyncio.sleep(0.01)
            stored += 1

    writing = asyncio.ensure_future(write())
    for limit in (100, 200, 300):
        await until(lambda limit=limit: stored >= limit)
        await restart(own_server, bus)
    await writing
    await until(lambda: len(seen) == total)
    assert await bus.last_seq(S.results_stream) == total
    results = await bus.pages(S.results_stream, S.all_results(), start=1, limit=1000)
    assert [message.data for message in results] == [b"%d" % number for number in range(total)]
    await consumption.close()
    await bus.reset(JOBS)
    again = await bus.consume(JOBS, handler)
    deadline = asyncio.get_running_loop().time() + 10
    while await bus.backlog(JOBS):
        assert asyncio.get_running_loop().time() < deadline
    await again.close()
    assert await bus.pages(S.jobs_stream, ">", start=1, limit=10) == []


async def test_the_pull_is_back_soon_after_a_restart(own_server: NatsProcess, bus: JetStreamBus) -> None:
    got: list[int] = []

    async def handler(batch: Sequence[Delivery]) -> None:
        got.extend(delivery.message.seq for delivery in batch)

    await bus.consume(JOBS, handler)
    await bus.append(S.job("normal", "echo"), b"")
    await until(lambda: got == [1])
    await restart(own_server, bus)
    await bus.append(S.job("normal", "echo"), b"")
    # Sooner than the missed heartbeats (2 s) would tell.
    await until(lambda: got == [1, 2], 1.2)


async def test_a_consumer_deleted_and_made_again(bus: JetStreamBus) -> None:
    got: list[int] = []

    async def handler(batch: Sequence[Delivery]) -> None:
        got.extend(delivery.message.seq for delivery in batch)

    await bus.consume(JOBS, handler)
    await bus.append(S.job("normal", "echo"), b"")
    await until(lambda: got == [1])
    await bus.reader.api(f"CONSUMER.DELETE.{JOBS.stream}.{JOBS.name}", None, Answer)
    await bus.append(S.job("normal", "echo"), b"")
    assert await bus.ensure(build(S, TopologySettings(jobs_ack_wait_s=30))) == []
    # Within the longest pause between pulls, and once more what was not acked.
    await until(lambda: got == [1, 1, 2], 3.0)


async def test_a_stream_wiped_with_its_store(own_server: NatsProcess, bus: JetStreamBus) -> None:
    got: list[bytes] = []

    async def handler(batch: Sequence[Delivery]) -> None:
        got.extend(delivery.message.data for delivery in batch)

    await bus.consume(JOBS, handler)
    await bus.reader.api(f"STREAM.DELETE.{JOBS.stream}", None, Answer)
    await bus.ensure(build(S))
    await bus.append(S.job("normal", "echo"), b"in the new stream")
    await until(lambda: got == [b"in the new stream"], 3.0)


async def test_what_was_not_written_before_the_loss_is_never_sent(own_server: NatsProcess, bus: JetStreamBus) -> None:
    # A server that does not read: once the socket is full, messages wait in the client.
    own_server.pause()
    publishing: list[asyncio.Future[None]] = []
    while bus.nc.pending_data_size < 800_000:
        assert len(publishing) < 200
        publishing.append(asyncio.ensure_future(bus.publish(S.job("normal", "echo"), b"late" * 200_000)))
        for _ in range(10):
            await asyncio.sleep(0)
    # The first waits here for room; it is told of the loss, and nothing of it is sent.
    publishing += [asyncio.ensure_future(bus.publish(S.job("normal", "echo"), b"late" * 200_000)) for _ in range(3)]
    await restart(own_server, bus)
    outcomes = await asyncio.gather(*publishing, return_exceptions=True)
    assert Disconnected in {type(outcome) for outcome in outcomes}
    assert {type(outcome) for outcome in outcomes} <= {type(None), Disconnected}
    assert await bus.append(S.job("normal", "echo"), b"the first to arrive") == 1


async def test_services_and_subscriptions_are_back_after_the_client_closed_itself(
    own_server: NatsProcess, bus: JetStreamBus
) -> None:
    got: list[bytes] = []
    seen: list[bool] = []

    async def core(msg: Msg) -> None:
        got.append(msg.data)

    async def jobs(batch: Sequence[Delivery]) -> None:
        got.extend(delivery.message.data for delivery in batch)

    await bus.subscribe("p3d.test", core)
    await bus.consume(JOBS, jobs)
    bus.on_connection(seen.append)
    before = bus.nc
    await bus.nc._process_err("'User Authentication Expired'")
    await until(lambda: seen == [False, True])
    assert bus.nc is not before
    assert bus.connected
    await bus.publish("p3d.test", b"core")
    await bus.append(S.job("normal", "echo"), b"job")
    await until(lambda: sorted(got) == [b"core", b"job"], 3.0)


async def test_a_cancelled_flush_does_not_kill_the_read_loop(bus: JetStreamBus) -> None:
    async def handler(msg: Msg) -> None: ...

    for turns in range(20):
        subscribing = asyncio.ensure_future(bus.subscribe("p3d.test", handler))
        for _ in range(turns):
            await asyncio.sleep(0)
        subscribing.cancel()
        await asyncio.wait({subscribing})
    assert await bus.last_seq(S.jobs_stream) == 0


async def test_batches_in_flight_beside_each_other(bus: JetStreamBus) -> None:
    async def batch(number: int) -> int:
        return await bus.append_batch([Append(S.event("echo", f"j{number}-{n}", "queued"), b"") for n in range(50)])

    ends = await asyncio.gather(*(batch(number) for number in range(20)))
    assert sorted(ends) == [50 * (n + 1) for n in range(20)]


async def test_appends_are_pipelined(bus: JetStreamBus) -> None:
    """Many in flight take less than one after the other: about a fifth; the best of three tries each, for noise."""
    loop = asyncio.get_running_loop()
    together, apart = [], []
    for n in range(3):
        begun = loop.time()
        await asyncio.gather(
            *(bus.append(S.proposal("echo", f"j{n}-{m}"), b"x" * 512, timeout=60) for m in range(2000))
        )
        together.append(loop.time() - begun)
        begun = loop.time()
        for m in range(200):
            await bus.append(S.proposal("echo", f"k{n}-{m}"), b"x" * 512)
        apart.append((loop.time() - begun) * 10)
    assert min(together) < min(apart)


# -- who may


AUTH = """
authorization {
  users = [
    { user: admin, password: secret1 }
    { user: guest, password: secret2, permissions: {
        publish: { allow: ["p3d.open", "$JS.API.>"] }, subscribe: { allow: ["_INBOX_guest.>", "p3d.open"] } } }
  ]
}
"""


@pytest.fixture
def guarded(tmp_path: Path) -> Any:
    process = NatsProcess(tmp_path, more_config=AUTH)
    process.start()
    yield process
    process.stop()


async def test_wrong_credentials_are_refused_at_once_and_not_shown(guarded: NatsProcess) -> None:
    url = guarded.url.replace("//", "//admin:wrong-secret@")
    with pytest.raises(Refused) as caught:
        await JetStreamBus.connect(ConnectOptions(servers=(url,), wait_s=30))
    assert "refuses" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_permissions_become_errors(guarded: NatsProcess) -> None:
    guest = await JetStreamBus.connect(
        ConnectOptions(servers=(guarded.url,), user="guest", password="secret2", inbox_prefix="_INBOX_guest")
    )

    async def handler(msg: Msg) -> None: ...

    with pytest.raises(Refused, match="may not subscribe"):
        await guest.subscribe("p3d.Closed", handler)
    await guest.subscribe("p3d.open", handler)
    with pytest.raises(Refused, match="may not publish"):
        await guest.request("p3d.Closed", b"", timeout=30)
    assert guest.connected
    await guest.close()


async def test_no_server(tmp_path: Path) -> None:
    nobody = NatsProcess(tmp_path)
    with pytest.raises(Disconnected) as caught:
        await JetStreamBus.connect(ConnectOptions(servers=(nobody.url,), wait_s=0.5))
    assert f"127.0.0.1:{nobody.port}" in str(caught.value)


# -- forms


class _Writing:
    """A connection to a stream that gets message 4 and 5 just after the read at 4 was answered."""

    def __init__(self) -> None:
        self.stored = [1, 2, 3]

    async def request(self, subject: str, data: bytes, timeout: float, headers: Any) -> Any:
        asked = json.loads(data)["seq"]
        found = next((seq for seq in self.stored if seq >= asked), None)
        if asked == 4 and found is None:
            self.stored = [1, 2, 3, 4, 5]
        message = {"subject": "x", "seq": found, "time": "2026-11-23T22:23:39.950158702Z", "data": "ZA=="}
        body = {"message": message} if found else {"error": {"code": 404, "err_code": 10037, "description": "none"}}
        return type("Answer", (), {"data": json.dumps(body).encode()})()


async def test_a_page_has_no_gap_when_a_writer_comes_between_its_reads() -> None:
    reader = Reader(_Writing())  # type: ignore[arg-type]
    first = await reader.pages("X", ">", 1, 100)
    assert [message.seq for message in first] == [1, 2, 3]
    assert [message.seq for message in await reader.pages("X", ">", 4, 100)] == [4, 5]


def test_both_forms_of_ack_subjects() -> None:
    for prefix, reply in (
        ("$JS.ACK.P3D_JOBS.c", "$JS.ACK.P3D_JOBS.c.2.7.9.1795472083964032382.3"),
        ("$JS.ACK._.hash.P3D_JOBS.c", "$JS.ACK._.hash.P3D_JOBS.c.2.7.9.1795472083964032382.3.rand"),
    ):
        found, delivery = parse_delivery(reply, "p3d.jobs.high.echo", b"x", {})
        assert found == prefix
        assert (delivery.delivered, delivery.message.seq, delivery.message.stream) == (2, 7, "P3D_JOBS")
        assert delivery.message.time == pytest.approx(1795472083.964)
    with pytest.raises(ValueError):
        parse_delivery("_INBOX.x", "", b"", {})


def test_stored_headers() -> None:
    raw = b"NATS/1.0\r\nOne: 1\r\nEmpty:\r\nName: J\xc3\xb8rgen: x\r\n\r\n"
    assert parse_headers(raw) == {"One": "1", "Empty": "", "Name": "Jørgen: x"}


async def test_messages_past_the_high_water_mark_keep_the_order_of_the_calls(bus: JetStreamBus) -> None:
    """Who waits for the socket must not be passed by those who come once it is free again: chunks of a file were."""
    megabyte = bytes(1 << 20)
    small = b"x"
    for number in range(10):
        # More than the mark in one go, then more messages while the first ones wait: they start one loop step apart.
        stored: list[asyncio.Future[int]] = []
        for part in range(40):
            data = megabyte[: 1 << 17] if part < 24 else small
            stored.append(asyncio.ensure_future(bus.append(S.proposal("echo", f"o{number}-{part}"), data, timeout=20)))
            if part > 16:
                await asyncio.sleep(0)
        sequences = await asyncio.gather(*stored)
        assert sequences == sorted(sequences)


async def fill_the_socket(server: NatsProcess, bus: JetStreamBus) -> list[asyncio.Future[None]]:
    """A server that does not read any more, and publishers that wait for it."""
    server.pause()
    publishing: list[asyncio.Future[None]] = []
    while bus.nc.pending_data_size < 1_100_000:
        assert len(publishing) < 200
        publishing.append(asyncio.ensure_future(bus.publish("filler", bytes(200_000))))
        for _ in range(10):
            await asyncio.sleep(0)
    publishing += [asyncio.ensure_future(bus.publish("filler", bytes(200_000))) for _ in range(3)]
    await asyncio.sleep(0)
    return publishing


@pytest.mark.parametrize("what", ["request", "append", "batch"])
async def test_the_time_of_a_request_runs_while_it_waits_for_the_socket(own_server: NatsProcess, what: str) -> None:
    # No pings: nothing but its own time ends the wait.
    bus = await JetStreamBus.connect(ConnectOptions(servers=(own_server.url,), ping_interval_s=600))
    await bus.ensure(build(S))
    publishing = await fill_the_socket(own_server, bus)
    batch = [Append(S.event("echo", f"e{n}", "queued"), b"") for n in range(3)]
    asked: dict[str, Any] = {
        "request": lambda: bus.request("nobody.there", b"", timeout=0.3),
        "append": lambda: bus.append(S.proposal("echo", "a"), b"", timeout=0.3),
        "batch": lambda: bus.append_batch(batch, timeout=0.3),
    }
    asking = asyncio.ensure_future(asked[what]())
    await until(asking.done, 3.0)
    with pytest.raises(OutcomeUnknown):
        asking.result()
    await asyncio.to_thread(own_server.kill)
    await asyncio.gather(*publishing, return_exceptions=True)
    await bus.close()


async def test_the_time_of_an_append_runs_while_others_before_it_have_no_answer(
    own_server: NatsProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocket3d.bus.jetstream.publisher.WINDOW", 2)
    bus = await JetStreamBus.connect(ConnectOptions(servers=(own_server.url,), ping_interval_s=600))
    await bus.ensure(build(S))
    own_server.pause()
    slow = [asyncio.ensure_future(bus.append(S.proposal("echo", f"a{n}"), b"", timeout=60)) for n in range(2)]
    await asyncio.sleep(0)
    asking = asyncio.ensure_future(bus.append(S.proposal("echo", "b"), b"", timeout=0.3))
    await until(asking.done, 3.0)
    with pytest.raises(OutcomeUnknown, match="2 appends before it"):
        asking.result()
    await asyncio.to_thread(own_server.kill)
    assert [type(each) for each in await asyncio.gather(*slow, return_exceptions=True)] == [OutcomeUnknown] * 2
    await asyncio.to_thread(own_server.start)
    await until(lambda: bus.connected)
    for number in range(3):
        await bus.append(S.proposal("echo", f"c{number}"), b"")
    await bus.close()
