"""The agent's engine with real worker processes: one that a run has spoiled never takes a second job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocket3d.contracts.worker_frames import AdapterSpec
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.io.describe import DeclaredAdapter
from pocket3d.gpu_agents.io.job_folders import WorkFolder
from pocket3d.gpu_agents.io.worker_gateway import WorkerGateway
from pocket3d.gpu_agents.workers import WorkerHost
from support.agent_rig import AgentRig, adapter, fixed
from support.device_trouble import BROKEN

from .conftest import until

SUPPORT = Path(__file__).resolve().parents[1] / "support"


class Agent:
    """An engine whose worker effects are carried out, and whose other effects are not."""

    def __init__(self, folder: Path, class_name: str) -> None:
        self.rig = AgentRig(adapters=[adapter("model", 100)])
        spec = AdapterSpec(adapter_id="model", class_path=f"broken_devices.{class_name}", path=[str(SUPPORT)])
        self.host = WorkerHost(folder / "host", "agent-1")
        self._folder = folder
        self._work = WorkFolder(folder / "work", "agent-1")
        self._work.open()
        self._gateway = WorkerGateway(
            self.host, {"fixed-0": fixed()}, {"model": DeclaredAdapter(spec=spec)}, self._work, self._tell
        )
        self._events: list[events.Event] = []
        #: Token -> worker that got it.
        self.got: dict[str, str] = {}

    def _tell(self, event: events.Event) -> None:
        self._events.append(event)

    async def _carry_out(self, wanted: list[effects.Effect]) -> None:
        for effect in wanted:
            if isinstance(effect, effects.StartWorker):
                await self._gateway.start(effect)
            elif isinstance(effect, effects.RunOnWorker):
                self.got[effect.job.run_id] = effect.worker_id
                self._gateway.run(effect)
            elif isinstance(effect, effects.CancelOnWorker):
                self._gateway.cancel(effect)
            elif isinstance(effect, effects.StopWorker):
                await self._gateway.stop(effect)

    async def _tell_engine(self) -> None:
        while self._events:
            await self._carry_out(self.rig.tell(self._events.pop(0)))

    async def give(self, inputs: dict[str, Any]) -> str:
        """Award a job and see it onto a worker; its token."""
        seen = len(self.rig.log)
        token = self.rig.take("model")
        out = self._folder / token
        out.mkdir()
        self.rig.tell(events.InputsFetched(token, inputs, str(out), str(out)))
        await self._carry_out(self.rig.log[seen:])
        await self.wait(lambda: token in self.got)
        return token

    async def cancel(self, token: str) -> None:
        """Cancel a job that runs, once it has said that it does."""
        await self.wait(lambda: self.rig.run_of(token).progress_at > 0)
        seen = len(self.rig.log)
        self.rig.cancel(token)
        await self._carry_out(self.rig.log[seen:])

    async def ended(self, token: str) -> str:
        """How a job ended, once it has."""
        await self.wait(lambda: self.rig.state(token) in ("reporting", "storing"))
        return self.rig.failure(token).code if self.rig.state(token) == "reporting" else "succeeded"

    async def close(self) -> None:
        """End the workers."""
        await self.host.aclose(grace_s=1.0)
        self._work.close()

    async def wait(self, condition: Any) -> None:
        """Let the workers work until something is so."""
        while not condition():
            await until(lambda: self._events or condition())
            await self._tell_engine()


@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize(
    ("class_name", "trouble"),
    [
        ("PoisonedAdapter", {"text": BROKEN[0]}),
        ("BrokenDeviceAdapter", {"device": "broken"}),
        ("BrokenDeviceAdapter", {"device": "hanging"}),
    ],
)
async def test_the_next_job_gets_a_fresh_process(
    tmp_path: Path, class_name: str, trouble: dict[str, Any], cancelled: bool
) -> None:
    agent = Agent(tmp_path, class_name)
    try:
        spoiling = await agent.give({**trouble, "until_cancelled": cancelled})
        if cancelled:
            await agent.cancel(spoiling)
        assert await agent.ended(spoiling) == ("cancelled" if cancelled else "adapter_error")
        first = agent.got[spoiling]
        assert first not in agent.rig.worker_ids() or not agent.rig.worker(first).active
        await agent.wait(lambda: first not in agent.rig.worker_ids())
        following = await agent.give({"device": "sound"})
        await agent.ended(following)
        assert list(agent.got) == [spoiling, following]
        assert agent.got[following] != first
    finally:
        await agent.close()


async def test_a_sound_process_is_kept(tmp_path: Path) -> None:
    agent = Agent(tmp_path, "BrokenDeviceAdapter")
    try:
        failed = await agent.give({"device": "sound"})
        assert await agent.ended(failed) == "adapter_error"
        stopped = await agent.give({"device": "sound", "until_cancelled": True})
        await agent.cancel(stopped)
        assert await agent.ended(stopped) == "cancelled"
        following = await agent.give({"device": "sound", "until_cancelled": True})
        assert len(set(agent.got.values())) == 1 and following in agent.got
    finally:
        await agent.close()
