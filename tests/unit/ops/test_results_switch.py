"""What stands against switching a results stream to proposals, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pocket3d.bus.port import BusError, Msg, NoResponders
from pocket3d.bus.topology import build
from pocket3d.contracts.api import AgentList
from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects
from pocket3d.ops.results_switch import doubles, old_agents, old_leader, switch_results

S = Subjects()


def advert(agent_id: str, **more: Any) -> Advert:
    fields: dict[str, Any] = {"incarnation": "1-a", "seq": 1, "host": "h", "pid": 1, "version": "0.1.0"}
    return Advert(agent_id=agent_id, draining=False, **{**fields, **more})


def test_agents_that_cannot_propose_are_named_once() -> None:
    assert old_agents([advert("new", proposes=True)]) == []
    said = old_agents([advert("b"), advert("a", version="0.0.9"), advert("b"), advert("new", proposes=True)])
    assert said == [
        "agent a (version 0.0.9) cannot propose its results: upgrade it or stop it",
        "agent b (version 0.1.0) cannot propose its results: upgrade it or stop it",
    ]


def test_a_leader_that_cannot_propose_is_named() -> None:
    assert old_leader(None) == []
    assert old_leader({"coordinator_id": "one", "proposes": "true"}) == []
    (said,) = old_leader({"coordinator_id": "one"})
    assert "coordinator one cannot propose results" in said


def test_doubles_are_named_with_what_to_do() -> None:
    said = doubles("p3d.results.echo.j1", [3, 17], "P3D_RESULTS")
    assert "p3d.results.echo.j1 holds messages 3, 17" in said
    assert "nats stream rmm P3D_RESULTS SEQUENCE" in said


class Server:
    """Answers requests by subject; who listens for adverts hears those given."""

    def __init__(self, answers: dict[str, bytes], adverts: list[bytes]) -> None:
        self.answers = answers
        self.adverts = adverts
        self.takes = [S.all_results()]
        self.asked: list[str] = []
        self.reader = self

    async def stream_takes(self, stream: str) -> list[str]:
        return self.takes

    async def subscribe(self, subject: str, handler: Any) -> Server:
        for data in self.adverts:
            await handler(Msg(subject, data, {}, ""))
        return self

    async def close(self) -> None: ...

    async def request(self, subject: str, data: bytes, *, timeout: float) -> Msg:
        if subject not in self.answers:
            raise NoResponders(subject)
        return Msg("", self.answers[subject], {}, "")

    async def subjects(self, stream: str, pattern: str) -> dict[str, int]:
        return {}

    async def info(self, stream: str) -> Any:
        return msgspec.defstruct("Info", [("config", dict, {})])()

    async def api(self, verb: str, body: Any, kind: type[Any]) -> Any:
        self.asked.append(verb)
        return msgspec.convert({}, kind)


async def switched(server: Any, **more: Any) -> list[str]:
    return await switch_results(server, S, build(S), listen_s=0, **more)


async def test_with_nobody_there_the_stream_is_switched() -> None:
    server = Server({}, [])
    assert await switched(server, only_check=True) == []
    assert server.asked == []
    assert await switched(server) == []
    assert server.asked == ["STREAM.UPDATE.P3D_RESULTS"]
    server.takes = [S.all_proposals()]
    assert await switched(server) == []
    assert len(server.asked) == 1, "it takes proposals already"


async def test_heard_agents_and_those_that_the_leader_knows_count() -> None:
    listed = encode(AgentList(agents=[advert("silent"), advert("new")]))
    leader = b'{"name": "p3d-api", "metadata": {"coordinator_id": "one"}}'
    heard = [encode(advert("old")), encode(advert("new", proposes=True)), b"no advert"]
    server = Server({"p3d.api.agents": listed, "$SRV.INFO.p3d-api": leader}, heard)
    said = await switched(server)
    assert [each.split(" cannot")[0] for each in said] == [
        "agent old (version 0.1.0)",
        "agent silent (version 0.1.0)",
        "the leading coordinator one",
    ]
    assert server.asked == []


@pytest.mark.parametrize("subject", ["p3d.api.agents", "$SRV.INFO.p3d-api"])
async def test_an_answer_that_cannot_be_read_is_no_consent(subject: str) -> None:
    server = Server({subject: b"[]"}, [])
    with pytest.raises(BusError, match="cannot be read"):
        await switched(server)
    assert server.asked == []
