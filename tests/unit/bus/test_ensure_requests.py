"""How often `ensure` asks a server, and what it sends: against answers that are written down here."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec

from pocket3d.bus.jetstream.ensure import ensure
from pocket3d.bus.topology import StreamSpec, Topology, build
from pocket3d.contracts.subjects import Subjects

ALL = build(Subjects())


class Server:
    """Holds streams' configurations, and counts the requests."""

    def __init__(self, *streams: StreamSpec) -> None:
        self.configs: dict[str, dict[str, Any]] = {each.name: each.config() for each in streams}
        self.asked: Counter[str] = Counter()
        #: Called before a request is answered.
        self.before: Any = None

    async def api(self, verb: str, body: dict[str, Any] | None, kind: Any, timeout: float = 5.0) -> Any:
        self.asked[verb] += 1
        if self.before is not None:
            self.before(verb)
        _, action, name = verb.split(".")
        answer: dict[str, Any] = {}
        if action in ("CREATE", "UPDATE"):
            assert body is not None
            self.configs[name] = body
        elif name not in self.configs:
            answer["error"] = {"code": 404, "err_code": 10059, "description": "stream not found"}
        elif action == "DELETE":
            del self.configs[name]
        else:
            answer["config"] = self.configs[name]
        return msgspec.convert(answer, kind)


def ensured(server: Server, *streams: StreamSpec) -> list[str]:
    return asyncio.run(ensure(server, Topology(streams)))  # type: ignore[arg-type]


def test_a_stream_that_stands_is_asked_for_once() -> None:
    server = Server(*ALL.streams)
    assert ensured(server, *ALL.streams) == []
    assert server.asked == {f"STREAM.INFO.{each.name}": 1 for each in ALL.streams}


def test_one_that_is_not_there_is_made_without_another_look() -> None:
    server = Server()
    assert ensured(server, *ALL.streams) == []
    assert set(server.asked.values()) == {1} and len(server.asked) == 2 * len(ALL.streams)
    assert server.configs.keys() == {each.name for each in ALL.streams}


def test_what_changed_between_the_look_and_the_update_is_kept() -> None:
    jobs = next(each for each in ALL.streams if each.name == "P3D_JOBS")
    server = Server(jobs)
    server.configs["P3D_JOBS"] = {**jobs.config(), "subjects": jobs.config()["subjects"][:2]}
    looks: list[str] = []

    def operator(verb: str) -> None:
        looks.append(verb)
        if looks == ["STREAM.INFO.P3D_JOBS"] * 2:
            server.configs["P3D_JOBS"] = {**server.configs["P3D_JOBS"], "compression": "s2"}

    server.before = operator
    assert ensured(server, jobs) == []
    assert server.configs["P3D_JOBS"] == {**jobs.config(), "compression": "s2"}
    assert server.asked == {"STREAM.INFO.P3D_JOBS": 2, "STREAM.UPDATE.P3D_JOBS": 1}


def test_a_stream_in_memory_is_made_anew_in_a_file() -> None:
    progress = next(each for each in ALL.streams if each.passing and each.storage == "file")
    server = Server(progress)
    server.configs[progress.name] = {**progress.config(), "storage": "memory"}
    assert ensured(server, progress) == []
    assert server.configs[progress.name]["storage"] == "file"
    assert server.asked[f"STREAM.DELETE.{progress.name}"] == 1
