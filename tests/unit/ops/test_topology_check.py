"""What is told of a server that differs from the topology, and what of one that keeps more."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.bus.port import Msg
from pocket3d.bus.topology import build
from pocket3d.contracts.codec import encode
from pocket3d.contracts.subjects import Subjects
from pocket3d.ops.topology_check import Comparison, compare

TOPOLOGY = build(Subjects())
_DAY = 86_400 * 10**9


class InfoServer:
    """Answers INFO requests as a server with this topology, edited."""

    def __init__(self, **edits: dict[str, Any]) -> None:
        self._edits = edits

    async def request(self, subject: str, data: bytes, *, timeout: float) -> Msg:
        name = subject.rpartition(".")[2]
        specs: list[Any] = [*TOPOLOGY.streams, *TOPOLOGY.consumers]
        config = next(spec.config() for spec in specs if subject.endswith(f".{spec.name}"))
        return Msg(subject, encode({"config": {**config, **self._edits.get(name, {})}}), {}, "")


async def comparison(**edits: dict[str, Any]) -> Comparison:
    server: Any = InfoServer(**edits)
    return await compare(server, TOPOLOGY)


async def test_a_server_as_it_should_be() -> None:
    assert await comparison() == ([], [])


async def test_days_are_days_and_wider_is_no_difference() -> None:
    found = await comparison(P3D_DEAD={"max_age": 120 * _DAY}, P3D_JOBS={"max_msgs": 10})
    assert found.kept == ["stream P3D_DEAD: max_age is 120 d, wanted 84 d; wider is kept on purpose"]
    assert found.differences == [
        "stream P3D_JOBS: max_msgs is 10, wanted 1000000; `pocket3d topology` widens it",
    ]


@pytest.mark.parametrize(("results", "said"), [(90 * _DAY, "90 d"), (0, "for ever")])
async def test_results_that_outlive_their_events_and_files_are_told(results: int, said: str) -> None:
    found = await comparison(P3D_RESULTS={"max_age": results})
    assert len(found.kept) == 1
    assert [line.partition(":")[0] for line in found.differences] == [
        f"stream P3D_EVENTS keeps for 35 d what P3D_RESULTS refers to {said}",
        f"stream OBJ_P3D_OUTPUTS keeps for 35 d what P3D_RESULTS refers to {said}",
    ]


async def test_events_that_are_kept_longer_are_no_matter() -> None:
    ages: dict[str, dict[str, Any]] = {"P3D_RESULTS": {"max_age": 90 * _DAY}, "P3D_EVENTS": {"max_age": 0}}
    found = await comparison(**ages, OBJ_P3D_OUTPUTS={"max_age": 90 * _DAY})
    assert found.differences == []
