"""The runner of the agent's effects, where it is ended before what it has begun."""

from __future__ import annotations

import gc
import warnings
from typing import Any, cast

import pytest

from pocket3d.bus.tasks import TaskPool
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
