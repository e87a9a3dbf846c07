"""Agents whose core messages pass and whose results do not: at a leaf node, or as a user who may do less."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import pytest
import pytest_asyncio

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.port import OutcomeUnknown, Refused
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.subjects import Subjects
from pocket3d.gpu_agents.io import storage_check
from pocket3d.gpu_agents.io.storage_check import StorageCheck
from support.command_line import pocket3d
from support.fleet_processes import FleetProcesses, Part, until
from support.nats_fixture import NatsProcess, binary, free_port
from support.pages import permissions

#: They share servers: in one process.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("storage")]

SUBJECTS = Subjects()
#: What docs/operating.md lets the agent gpu-07 publish to, for agents of any name.
_BLOCK = permissions()["gpu-07"].replace("gpu-07", "*")
AGENT = re.findall(r'"(.+?)"', _BLOCK.split("publish: [", 1)[1].split("]", 1)[0])
#: User -> what it may not publish to of that.
WITHOUT = {
    "whole": [],
    "no-info": ["$JS.API.STREAM.INFO.P3D_RESULTS"],
    "no-outputs": ["$O.P3D_OUTPUTS.>"],
    "chunks-only": ["$O.P3D_OUTPUTS.M.>"],
    "no-results": ["p3d.propose.*.*"],
}


class Hub:
    """A server with users, and a leaf node of it without JetStream."""

    def __init__(self, folder: Path) -> None:
        self.port, leaves, self.leaf_port = free_port(), free_port(), free_port()
        users = ["{ user: admin, password: pw }"]
        for name, lacking in WITHOUT.items():
            listed = ", ".join(f'"{each}"' for each in AGENT)
            denied = ", ".join(f'"{each}"' for each in lacking)
            users.append(
                f"{{ user: {name}, password: pw, permissions: {{ publish: {{ allow: [{listed}], deny: [{denied}] }}, "
                'subscribe: ["p3d.agents.>", "$SRV.>", "_INBOX.>"], allow_responses: { max: 1, expires: "1m" } } }'
            )
        hub = folder / "hub.conf"
        hub.write_text(
            f'listen: 127.0.0.1:{self.port}\njetstream {{ store_dir: "{folder}/store", domain: hub }}\n'
            f"leafnodes {{ listen: 127.0.0.1:{leaves} }}\nauthorization {{ users: [\n" + "\n".join(users) + "\n] }\n"
        )
        leaf = folder / "leaf.conf"
        leaf.write_text(
            f"listen: 127.0.0.1:{self.leaf_port}\n"
            f'leafnodes {{ remotes: [ {{ urls: ["nats-leaf://admin:pw@127.0.0.1:{leaves}"] }} ] }}\n'
        )
        self._processes = [
            subprocess.Popen([binary(), "-c", str(config)], stderr=subprocess.DEVNULL) for config in (hub, leaf)
        ]

    def url(self, user: str) -> str:
        where = self.leaf_port if user == "leaf" else self.port
        return f"nats://127.0.0.1:{where}" if user == "leaf" else f"nats://{user}:pw@127.0.0.1:{where}"

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    servers = Hub(tmp_path_factory.mktemp("hub"))
    yield servers
    servers.stop()


@contextlib.asynccontextmanager
async def connected(hub: Hub, user: str) -> AsyncIterator[JetStreamBus]:
    bus = await JetStreamBus.connect(ConnectOptions(servers=(hub.url(user),), wait_s=20))
    yield bus
    await bus.close()


@pytest_asyncio.fixture
async def topology(hub: Hub) -> None:
    async with connected(hub, "admin") as bus:
        await bus.ensure(build(SUBJECTS, TopologySettings()))


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("whole", None),
        ("no-info", "may not publish to '$JS.API.STREAM.INFO.P3D_RESULTS'"),
        ("no-outputs", "may not publish to '$O.P3D_OUTPUTS.C.check'"),
        ("chunks-only", "may not publish to '$O.P3D_OUTPUTS.M."),
        ("leaf", "default_js_domain"),
    ],
)
async def test_what_stands_in_the_way_is_found_without_storing_anything(
    hub: Hub, topology: None, user: str, words: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_check, "_PATIENCE_S", 0.5)
    async with connected(hub, user) as bus:
        check = StorageCheck(bus, SUBJECTS.results_stream, SUBJECTS.outputs_bucket)
        problem = (await check.look()).problem
    assert problem is None if words is None else words in (problem or "")
    async with connected(hub, "admin") as bus:
        assert await bus.last_seq("OBJ_P3D_OUTPUTS") == 0


async def test_streams_that_are_made_a_moment_later_are_waited_for(
    hub: Hub, topology: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = asyncio.Event()
    async with connected(hub, "admin") as bus:
        ask = bus.stream_created

        async def asked(stream: str) -> float:
            try:
                return await ask(stream)
            except Refused:
                missed.set()
                raise

        monkeypatch.setattr(bus, "stream_created", asked)
        looking = asyncio.ensure_future(StorageCheck(bus, "MADE_LATER", SUBJECTS.outputs_bucket).look())
        await asyncio.wait_for(missed.wait(), 20)
        observer = await nats.connect(hub.url("admin"))
        await observer.jetstream().add_stream(name="MADE_LATER", subjects=["made.later"])
        await observer.close()
        assert (await looking).problem is None


async def test_a_stream_that_nobody_makes_is_named(hub: Hub, topology: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_check, "_PATIENCE_S", 0.5)
    async with connected(hub, "admin") as bus:
        problem = (await StorageCheck(bus, "P3D_NEVER_MADE", SUBJECTS.outputs_bucket).look()).problem
    assert problem is not None and "10059" in problem and "pocket3d topology" in problem


async def test_a_silent_server_is_a_reason_too(hub: Hub, topology: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_check, "_PATIENCE_S", 0.5)

    async def silent(stream: str) -> float:
        raise OutcomeUnknown(f"{stream}: no answer within 5 s")

    async with connected(hub, "admin") as bus:
        monkeypatch.setattr(bus, "stream_created", silent)
        problem = (await StorageCheck(bus, SUBJECTS.results_stream, SUBJECTS.outputs_bucket).look()).problem
    assert problem is not None and "no answer within 5 s" in problem


class FleetElsewhere(FleetProcesses):
    """A fleet on a server that is there already."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self._url = url

    @property
    def url(self) -> str:
        return self._url

    async def start(self) -> None:
        self.nc = await nats.connect(self.url, max_reconnect_attempts=-1)
        self.js = self.nc.jetstream()


class GuardedFleet(FleetElsewhere):
    """A fleet on the hub, whose agents are called after the users that they are."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        super().__init__(folder, hub.url("admin"))
        self._hub = hub

    def member(self, user: str) -> Part:
        return self.agent(user, "cpu:4096", server=self._hub.url(user))

    async def reasons(self) -> dict[str, str | None]:
        return {agent["agent_id"]: agent["reason"] for agent in (await self.ask("agents"))["agents"]}


@pytest_asyncio.fixture
async def guarded(tmp_path: Path, hub: Hub, topology: None) -> AsyncIterator[GuardedFleet]:
    fleet = GuardedFleet(tmp_path, hub)
    await fleet.start()
    yield fleet
    await fleet.stop()


async def test_agents_that_cannot_store_get_no_job_and_everybody_is_told_why(guarded: GuardedFleet) -> None:
    guarded.coordinator()
    parts = {user: guarded.member(user) for user in ("leaf", "no-outputs")}
    await guarded.until_led(agents=2, timeout=60)
    for number in range(3):
        await guarded.submit("text_to_mesh", {"job_id": f"j{number}", "inputs": {"text_prompt": "a cube"}})
    found = await guarded.reasons()
    assert "default_js_domain" in (found["leaf"] or "")
    assert "may not publish to '$O.P3D_OUTPUTS.C.check'" in (found["no-outputs"] or "")
    await guarded.until_status("j0", "queued")
    reasons = (await guarded.ask("explain", {"job_id": "j0"}))["reasons"]
    assert {(each["agent_id"], each["code"], each["message"]) for each in reasons} == {
        (user, "draining", why) for user, why in found.items()
    }
    shown = pocket3d("agents", "-s", guarded.url)
    assert f"leaf takes no jobs: {found['leaf']}" in shown.out
    assert f"takes no jobs: {found['leaf']}" in pocket3d("doctor", "-s", guarded.url).out
    guarded.member("whole")
    results = await guarded.until_results(3, 90)
    assert [(each["status"], each["agent_id"], each["attempt"]) for each in results] == [("succeeded", "whole", 1)] * 3
    for part in parts.values():
        assert len(said(part, "cannot store results")) == 1


async def test_a_result_that_the_server_forbids_costs_one_attempt_that_says_so(guarded: GuardedFleet) -> None:
    guarded.coordinator()
    forbidden = guarded.member("no-results")
    await guarded.until_led(agents=1, timeout=60)
    await guarded.submit("text_to_mesh", {"job_id": "refused", "inputs": {"text_prompt": "a cube"}})

    async def drains() -> bool:
        return (await guarded.reasons())["no-results"] is not None

    await until(drains, 60, "it drains")
    guarded.member("whole")
    assert (await guarded.result_of("refused", 90))["agent_id"] == "whole"
    statuses = [data for _, data in await guarded.read_stream("P3D_EVENTS", "p3d.events.*.refused.requeued")]
    (failed,) = json.loads(statuses[-1])["error"]["attempts"]
    assert (failed["agent_id"], failed["code"]) == ("no-results", "agent_lost")
    assert "may not publish to 'p3d.propose.text_to_mesh.refused'" in failed["message"]
    assert forbidden.alive


def said(part: Part, words: str) -> list[str]:
    return [line for line in part.log.read_text().splitlines() if words in line]


async def test_a_full_store_is_told_once_and_nothing_is_lost(guarded: GuardedFleet) -> None:
    guarded.coordinator()
    agent = guarded.member("whole")
    await guarded.until_led(agents=1, timeout=60)
    config = (await guarded.js.stream_info("OBJ_P3D_OUTPUTS")).config
    await guarded.js.purge_stream("OBJ_P3D_OUTPUTS")
    await guarded.js.update_stream(config=config.evolve(max_bytes=100))
    for number in range(2):
        await guarded.submit("text_to_mesh", {"job_id": f"full-{number}", "inputs": {"text_prompt": "a cube"}})
    await until(lambda: said(agent, "nothing can be stored"), 60, "it is told")
    await until(lambda: len(said(agent, "not stored yet")) == 2, 60, "each job has its line")
    await guarded.js.update_stream(config=config)
    for number in range(2):
        result = await guarded.result_of(f"full-{number}", 60)
        assert (result["status"], result["attempt"]) == ("succeeded", 1)
    (line,) = said(agent, "nothing can be stored")
    assert "raise the limits of the stream or the account" in line and '"level":"warning"' in line
    assert len(said(agent, "results can be stored again")) == 1


async def test_a_server_without_jetstream_is_told_once_and_once_when_it_is_back(tmp_path: Path) -> None:
    server = NatsProcess(tmp_path)
    with_jetstream = (tmp_path / "nats.conf").read_text()
    server.start()
    fleet = FleetElsewhere(tmp_path, server.url)
    await fleet.start()
    try:
        coordinator = fleet.coordinator()
        agent = fleet.agent("a1", "cpu:4096")
        await fleet.until_led(agents=1, timeout=60)
        server.stop()
        (tmp_path / "nats.conf").write_text(f"listen: 127.0.0.1:{server.port}\n")
        server.start()
        await until(lambda: said(agent, "this agent cannot store results"), 60, "it is told")
        await until(lambda: said(coordinator, "serves this coordinator no more"), 60, "the leader tells it, too")
        server.stop()
        (tmp_path / "nats.conf").write_text(with_jetstream)
        server.start()
        await until(lambda: said(agent, "jobs are taken"), 60, "it is told that it is back")
        await fleet.submit("echo", {"job_id": "after", "inputs": {}})
        assert (await fleet.result_of("after", 60))["status"] == "succeeded"
        (line,) = said(agent, "this agent cannot store results")
        assert "restart nats-server with JetStream on" in line and '"level":"warning"' in line
        await until(lambda: said(coordinator, "serves this coordinator again"), 30, "the leader tells that it is back")
        (line,) = said(coordinator, "serves this coordinator no more")
        assert "restart nats-server with JetStream on" in line and '"level":"warning"' in line
    finally:
        await fleet.stop()
        server.stop()
