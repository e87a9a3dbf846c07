"""Where a result is published: where the results stream takes it now."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Conflict, NoResponders, Refused
from pocket3d.bus.proposals import Proposals
from pocket3d.bus.topology import StreamSpec, Topology, build
from pocket3d.contracts.subjects import Subjects
from support.former_results import former, switch

S = Subjects()


class NotedBus(MemoryBus):
    """Notes where was appended, and how often the stream was asked what it takes."""

    def __init__(self, server: MemoryServer) -> None:
        super().__init__(server)
        self.to: list[str] = []
        self.asked = 0
        self.fails: Exception | None = None

    async def append(self, subject: str, data: bytes, **more: Any) -> int:
        self.to.append(subject)
        if self.fails is not None:
            raise self.fails
        return await super().append(subject, data, **more)

    async def stream_takes(self, stream: str) -> list[str]:
        self.asked += 1
        return await super().stream_takes(stream)


async def standing(*specs: StreamSpec) -> tuple[NotedBus, Proposals]:
    bus = NotedBus(MemoryServer())
    assert await bus.ensure(Topology(specs) if specs else build(S)) == []
    return bus, Proposals(bus, S)


async def test_a_stream_that_takes_proposals_is_asked_once() -> None:
    bus, proposals = await standing()
    assert [await proposals.store("echo", job_id, b"{}") for job_id in ("a", "b")] == [1, 2]
    assert (bus.to, bus.asked) == ([S.proposal("echo", "a"), S.proposal("echo", "b")], 1)
    with pytest.raises(Conflict):
        await proposals.store("text_to_mesh", "a", b"{}")
    assert await proposals.store("echo", "c", b"{}") == 3
    assert bus.asked == 1, "a conflict is an answer of the stream"


async def test_it_is_asked_again_after_a_reconnect_and_after_a_refusal() -> None:
    bus, proposals = await standing()
    await proposals.store("echo", "a", b"{}")
    proposals.look_again()
    await proposals.store("echo", "b", b"{}")
    assert bus.asked == 2
    bus.fails = Refused("full", code=10077)
    with pytest.raises(Refused):
        await proposals.store("echo", "c", b"{}")
    bus.fails = None
    await proposals.store("echo", "c", b"{}")
    assert bus.asked == 3


async def test_a_former_stream_gets_results_on_their_subject_until_it_is_switched() -> None:
    bus, proposals = await standing(former(S))
    assert await proposals.store("echo", "a", b"{}") == 1
    with pytest.raises(Conflict):
        await proposals.store("text_to_mesh", "a", b"{}")
    assert bus.to == [S.result("echo", "a"), S.result("text_to_mesh", "a")]
    switch(bus.server, S)
    assert await proposals.store("echo", "b", b"{}") == 2, "nothing was refused in between"
    with pytest.raises(Conflict):
        await proposals.store("text_to_mesh", "a", b"{}")


async def test_a_stream_that_is_there_no_more() -> None:
    bus, proposals = await standing()
    await proposals.store("echo", "a", b"{}")
    del bus.server.streams[S.results_stream]
    bus.server._owners.clear()
    with pytest.raises(NoResponders):
        await proposals.store("echo", "b", b"{}")
    with pytest.raises(Refused, match="10059"):
        await proposals.store("echo", "b", b"{}")
    await bus.ensure(Topology((former(S),)))
    assert await proposals.store("echo", "b", b"{}") == 1
