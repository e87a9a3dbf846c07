"""The runner of the agent's effects: ended before what it has begun, and with adverts that the server does not take."""

from __future__ import annotations

import asyncio
import gc
import warnings
from typing import Any, cast

import pytest
import structlog.testing

from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Msg
from pocket3d.bus.tasks import TaskPool
from pocket3d.contracts.messages import Advert
from pocket3d.contracts.subjects import Subjects
from pocket3d.gpu_agents.engine import effects
from pocket3d.gpu_agents.io.effect_runner import EffectRunner


class Files:
    """Files whose calls take a while."""

    def fetch_now(self, effect: effects.FetchInputs) -> None:
        return None

    async def fetch(self, effect: effects.FetchInputs) -> None:
        raise AssertionError("it was ended before its first step")

    async def upload(self, effect: effects.UploadOutputs) -> None:
        raise AssertionError("it was ended before its first step")


@pytest.mark.parametrize("effect", [effects.FetchInputs("t", "j", {}), effects.UploadOutputs("t", "j", ())])
async def test_work_on_files_that_never_began_leaves_no_coroutine_open(effect: effects.Effect) -> None:
    tasks = TaskPool()
    nothing = cast(Any, None)
    runner = EffectRunner(
        nothing, nothing, "g1", cast(Any, Files()), nothing, nothing, nothing, tasks, nothing, nothing, nothing
    )
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        runner.run(effect)
        await tasks.close()
        gc.collect()
    assert [str(each.message) for each in seen] == []


async def test_adverts_that_cannot_be_sent_are_told_once_until_one_is_sent_again() -> None:
    """The healthy agent counts as lost then, and nobody said so."""
    server, subjects = MemoryServer(max_payload=4096), Subjects()
    bus, heard = MemoryBus(server), []

    async def hear(msg: Msg) -> None:
        heard.append(msg.data)

    await bus.subscribe(subjects.advert("g1"), hear)
    nothing = cast(Any, None)
    runner = EffectRunner(
        bus, subjects, "g1", nothing, nothing, nothing, nothing, TaskPool(), nothing, nothing, nothing
    )
    sending = asyncio.ensure_future(runner.send_all())

    def advert(text: str) -> effects.PublishAdvert:
        return effects.PublishAdvert(
            Advert(
                agent_id="g1",
                incarnation="1-a",
                seq=1,
                host="h",
                pid=1,
                version="1",
                draining=False,
                labels={"note": text},
            )
        )

    small, large = "x", "x" * 5000
    with structlog.testing.capture_logs() as lines:
        for text in (small, large, large, small, large):
            runner.run(advert(text))
        await runner.flush(5)
    sending.cancel()
    warned = [line for line in lines if line["log_level"] == "warning"]
    assert [line["event"].partition(",")[0] for line in warned] == ["adverts are not sent"] * 2
    assert all(line["agent_id"] == "g1" and "takes at most 4096" in line["error"] for line in warned)
    assert len(heard) == 2
