"""How grave the doctor takes a server that differs from the topology."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.port import Msg
from pocket3d.bus.topology import build
from pocket3d.contracts.api import AgentList
from pocket3d.contracts.subjects import Subjects
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.ops.doctor import Question, _device, _fleet, _topology, told_by
from support.coordinator_desk import AgentDouble, device

SUBJECTS = Subjects()


class JetStreamApi:
    """Answers INFO requests as a server with this topology, but for what is missing."""

    def __init__(self, *missing: str) -> None:
        self._missing = missing
        topology = build(SUBJECTS)
        self._configs: dict[str, Mapping[str, Any]] = {
            **{f"$JS.API.STREAM.INFO.{each.name}": each.config() for each in topology.streams},
            **{f"$JS.API.CONSUMER.INFO.{each.stream}.{each.name}": each.config() for each in topology.consumers},
        }

    async def request(self, subject: str, data: bytes, *, timeout: float) -> Msg:
        name = subject.rpartition("INFO.")[2]
        if name in self._missing:
            code = 10014 if "CONSUMER" in subject else 10059
            body: dict[str, Any] = {"error": {"err_code": code, "description": "not found"}}
        else:
            body = {"config": self._configs[subject]}
        return Msg("", msgspec.json.encode(body), {}, "")


async def levels(*missing: str) -> dict[str, str]:
    question = Question(Path(), 0, ConnectOptions(), SUBJECTS, environ={})
    bus: Any = JetStreamApi(*missing)
    return {finding.text: finding.level for finding in await _topology(bus, question)}


async def test_a_consumer_that_was_removed_is_a_problem() -> None:
    found = await levels("P3D_JOBS.coordinator-normal")
    assert found == {"consumer coordinator-normal on P3D_JOBS: missing": "problem"}


async def test_a_server_on_which_nothing_was_made_yet_is_none() -> None:
    assert set((await levels("P3D_RESULTS", "P3D_RESULTS.coordinator")).values()) == {"note"}


async def test_a_server_as_it_should_be_is_ok() -> None:
    assert list((await levels()).values()) == ["ok"]


async def test_a_device_in_quarantine_is_a_problem_of_the_fleet() -> None:
    agent = AgentDouble("a1", devices=[device("GPU-1"), device("GPU-2")])
    agent.devices[0] = msgspec.structs.replace(agent.devices[0], quarantine="its driver says: Xid 79; reset the GPU")

    class Api:
        async def request(self, subject: str, data: bytes, *, timeout: float) -> Msg:
            return Msg("", msgspec.json.encode(AgentList(agents=[agent.advert()])), {}, "")

    bus: Any = Api()
    found = await _fleet(bus, Question(Path(), 0, ConnectOptions(), SUBJECTS, environ={}))
    assert [each.text for each in found if each.level == "problem"] == [
        "GPU-1 gets no jobs: its driver says: Xid 79; reset the GPU"
    ]


def test_what_a_driver_says_of_this_machines_devices_is_told() -> None:
    assert told_by(Reading(1000)) == []
    assert told_by(Reading(0, None, "NVML: GPU is lost", ("Xid 79",))) == ["Xid 79", "NVML: GPU is lost"]


BLACKWELL = DeviceSpec(
    id="GPU-1", kind="cuda", name="RTX 5090", total_mb=32_000, buffer_mb=1024, visible="GPU-1", capability=(12, 0)
)


CPU = DeviceSpec(id="cpu-0", kind="cpu", name="CPU lane", total_mb=8000, buffer_mb=0)


def test_a_gpu_that_does_not_answer_is_a_problem() -> None:
    assert _device(BLACKWELL, Reading(30_000)) == (
        "ok",
        "devices",
        "GPU-1: RTX 5090, 32000 MB, compute capability 12.0",
        None,
    )
    assert _device(CPU, Reading(8000)).text == "cpu-0: CPU lane, 8000 MB"
    silent = _device(BLACKWELL, None)
    assert silent.level == "problem" and "does not answer" in silent.text
