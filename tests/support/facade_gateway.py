"""A gateway upon a simulated fleet of mesh models: what the tests of facades send requests to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.contracts.api import FeatureList
from pocket3d.contracts.worker_frames import AdapterDescription, RunJob
from pocket3d.ops.gateway.app import create_app
from pocket3d.ops.gateway.session import Session
from pocket3d.ops.gateway.settings import GatewaySettings
from pocket3d.ops.gateway.tokens import Tokens
from pocket3d.ops.simulation import surroundings, workers
from support.asgi import Answer, Http
from support.facade_fleet import CLASSICAL
from support.flow import Flow, play


class Gateway:
    """A client of the gateway in a flow."""

    def __init__(self, flow: Flow, session: Session) -> None:
        self.flow = flow
        self.session = session
        self.http = Http(create_app(session, session.settings))

    async def ask(self, method: str, target: str, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
        """A request; the jobs that it made are known to be meant."""
        answer = await self.http.ask(method, target, body, headers)
        for job_id in [*self.session.jobs._tenants]:
            self.flow.world.accepted.add(job_id)
        return answer

    def requests(self) -> dict[str, dict[str, Any]]:
        """The jobs that were submitted, by id, as they were sent."""
        return dict(self.session.jobs._requests)

    async def until(self, condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Let time pass until something is so."""
        while not await condition():
            await asyncio.sleep(0.2)


def play_facade(
    scenario: Callable[[Gateway], Coroutine[Any, Any, None]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    fleet: FeatureList = CLASSICAL,
) -> None:
    """Run a scenario with a gateway beside a system whose models are a fleet's, and make a file in each job."""
    adapters = {
        adapter.adapter_id: AdapterDescription(
            adapter_id=adapter.adapter_id,
            available=adapter.available,
            feature=info.feature,
            vram_mb=1000,
            max_concurrent=1,
            devices=["cuda", "cpu"],
            parameters=adapter.parameters,
            variants=adapter.variants,
        )
        for info in fleet.features
        for adapter in info.adapters
    }
    monkeypatch.setattr(surroundings, "adapters_of", lambda variants: adapters)
    run_job = workers.SimulatedWorkers._run

    def with_a_file(self: Any, worker: Any, frame: RunJob) -> None:
        told = {"files": True, "seconds": 0.5, **frame.inputs}
        run_job(self, worker, msgspec.structs.replace(frame, inputs=told))

    monkeypatch.setattr(workers.SimulatedWorkers, "_run", with_a_file)

    async def run(flow: Flow) -> None:
        session = Session(flow.client, GatewaySettings(), Tokens())
        await session.start()
        try:
            await scenario(Gateway(flow, session))
        finally:
            await session.close()

    play(run, folder)
