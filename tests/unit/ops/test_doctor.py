"""How grave the doctor takes a server that differs from the topology."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.port import Msg
from pocket3d.bus.topology import build
from pocket3d.contracts.subjects import Subjects
from pocket3d.ops.doctor import Question, _topology

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
