"""A server whose JetStream is off, without a leader or full: what producers, operators and the doctor are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocket3d.bus.client import Client, JetStreamAway, NotSetUp, QueueFull
from pocket3d.bus.client.errors import NoLeader
from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.jetstream_away import why_away, why_nothing_is_stored
from pocket3d.bus.port import Refused
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.api import AgentList, EmptyRequest
from pocket3d.contracts.subjects import Subjects
from support.command_line import pocket3d
from support.nats_fixture import NatsProcess, free_port

S = Subjects()
Start = Callable[..., NatsProcess]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr("pocket3d.bus.client.retry.NO_STREAM_S", 0.3)
    servers: list[NatsProcess] = []

    def make(more: str = "", jetstream: str | None = "") -> NatsProcess:
        server = NatsProcess(tmp_path, more_config=more)
        lines = (tmp_path / "nats.conf").read_text().splitlines()
        (line,) = [each for each in lines if each.startswith("jetstream")]
        wanted = "" if jetstream is None else line.replace("}", f"{jetstream} }}")
        (tmp_path / "nats.conf").write_text("\n".join(lines).replace(line, wanted))
        servers.append(server)
        server.start()
        return server

    yield make
    for server in servers:
        server.stop()


async def connect(server: NatsProcess, **who: str) -> Client:
    return Client(await JetStreamBus.connect(ConnectOptions(servers=(server.url,), **who)))  # type: ignore[arg-type]


async def test_without_jetstream_each_command_says_so(start: Start) -> None:
    server = start(jetstream=None)
    client = await connect(server)
    with pytest.raises(JetStreamAway, match="JetStream does not answer: it is off on this server"):
        await client.submit("echo")
    with pytest.raises(NoLeader, match="JetStream does not answer: it is off"):
        await client.api("agents", EmptyRequest(), AgentList, 0.3)
    await client.bus.close()
    for words, code in ((("submit", "echo", "--timeout", "1"), 6), (("jobs",), 6), (("topology",), 6)):
        ran = pocket3d(*words, "-s", server.url)
        assert (ran.code, ran.err.count("JetStream does not answer: it is off")) == (code, 1), ran
        assert "credentials" not in ran.err
    findings = {each["check"]: each for each in pocket3d("doctor", "-s", server.url, "--json").json}
    assert findings["jetstream"]["level"] == "problem" and "restart nats-server" in findings["jetstream"]["text"]


async def test_an_account_without_jetstream(start: Start) -> None:
    server = start('accounts { A { users: [ { user: "a", password: "a" } ] } }')
    client = await connect(server, user="a", password="a")
    with pytest.raises(JetStreamAway, match=r"not enabled for account \(10039\): enable it for this account"):
        await client.submit("echo")
    with pytest.raises(Refused, match=r"10039\): enable it for this account"):
        await client.bus.last(S.events_stream, "x")
    await client.bus.close()


async def test_a_cluster_without_a_leader(start: Start) -> None:
    """One of three servers."""
    nobody = [f'"nats://127.0.0.1:{free_port()}"' for _ in range(2)]
    routes = f'cluster {{ name: c, listen: "127.0.0.1:{free_port()}", routes: [{", ".join(nobody)}] }}'
    server = start(f"server_name: one\n{routes}")
    client = await connect(server)
    with pytest.raises(JetStreamAway, match="too few servers of its cluster are up"):
        await client.submit("echo")
    await client.bus.close()


async def test_a_server_without_room(start: Start) -> None:
    server = start(jetstream=", max_file_store: 400KB")
    client = await connect(server)
    await client.bus.ensure(build(S, TopologySettings(progress_max_bytes=100_000)))
    with pytest.raises(QueueFull, match=r"10023.*max_file_store"):
        for _ in range(20):
            await client.submit("echo", {"texts": ["x" * 9000] * 10})
    assert "stores nothing" in (await why_nothing_is_stored(client.bus, S.jobs_stream) or "")
    await client.bus.close()


async def test_a_server_that_is_well(start: Start) -> None:
    client = await connect(start())
    assert await why_away(client.bus) is None
    with pytest.raises(NotSetUp):
        await client.submit("echo")
    await client.bus.close()


async def test_who_may_not_ask_is_told_nothing_wrong(start: Start) -> None:
    rights = '{ publish: ["p3d.jobs.>"], subscribe: ["_INBOX.>"] }'
    server = start(f'authorization {{ users: [ {{ user: "a", password: "a", permissions: {rights} }} ] }}')
    client = await connect(server, user="a", password="a")
    with pytest.raises(NotSetUp):
        await client.submit("echo")
    await client.bus.close()
