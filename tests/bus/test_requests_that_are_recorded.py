"""A stream that somebody laid over request subjects acknowledges each request first; it is no answer to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.port import Msg, OutcomeUnknown
from support.nats_fixture import NatsProcess


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[JetStreamBus]:
    server = NatsProcess(tmp_path)
    server.start()
    bus = await JetStreamBus.connect(ConnectOptions(servers=(server.url,)))
    # As `nats stream add AUDIT --subjects 'p3d.agents.>'` makes it: with acknowledgements.
    config = msgspec.json.encode({"name": "AUDIT", "subjects": ["p3d.agents.>"], "storage": "memory"})
    await bus.request("$JS.API.STREAM.CREATE.AUDIT", config, timeout=5)
    yield bus
    await bus.close()
    server.stop()


async def test_the_answer_of_a_request_is_that_of_its_service(bus: JetStreamBus) -> None:
    async def answer(msg: Msg) -> None:
        await bus.last_seq("AUDIT")  # the stream's acknowledgement is on its way before that
        await bus.publish(msg.reply, b'{"stream":"is a word of ours too"}')

    await bus.subscribe("p3d.agents.a.cmd", answer)
    for number in range(1, 6):
        got = await bus.request("p3d.agents.a.cmd", b"{}", timeout=5)
        assert got.data == b'{"stream":"is a word of ours too"}'
        assert await bus.last_seq("AUDIT") == number


async def test_nobody_else_is_no_answer(bus: JetStreamBus) -> None:
    with pytest.raises(OutcomeUnknown):
        await bus.request("p3d.agents.gone.cmd", b"{}", timeout=0.5)


async def test_an_append_still_gets_its_acknowledgement(bus: JetStreamBus) -> None:
    assert await bus.append("p3d.agents.a.advert", b"{}") == 1
