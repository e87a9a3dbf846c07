"""The micro service of one agent: `p3d.agents.<id>.ctl.status|drain|undrain|load|unload`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pocket3d.bus.port import Endpoint, Msg, ServiceError, ServiceSpec
from pocket3d.contracts.api import EmptyRequest, LoadRequest
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.subjects import Subjects

from ..engine import events
from .effect_runner import Requests

T = TypeVar("T")
Make = Callable[[int, Msg], events.Event]

#: How long an operator waits for the engine, in seconds. It answers at once unless the agent is stopping.
_ANSWER_S = 5.0


def control_service(
    subjects: Subjects,
    agent_id: str,
    version: str,
    metadata: dict[str, str],
    requests: Requests,
    emit: Callable[[events.Event], None],
) -> ServiceSpec:
    """What to register on the bus."""

    def answering(make: Make) -> Callable[[Msg], Awaitable[bytes]]:
        async def handle(msg: Msg) -> bytes:
            request, answer = requests.operator()
            try:
                emit(make(request, msg))
                return await asyncio.wait_for(answer, _ANSWER_S)
            except asyncio.TimeoutError as error:
                raise ServiceError(503, "the agent is stopping") from error
            finally:
                requests.forget_operator(request)

        return handle

    def status(request: int, msg: Msg) -> events.Event:
        _read(EmptyRequest, msg)
        return events.StatusRequested(request)

    def drain(request: int, msg: Msg) -> events.Event:
        _read(EmptyRequest, msg)
        return events.DrainRequested(False, request)

    def undrain(request: int, msg: Msg) -> events.Event:
        _read(EmptyRequest, msg)
        return events.UndrainRequested(request)

    def load(request: int, msg: Msg) -> events.Event:
        asked = _read(LoadRequest, msg)
        return events.LoadRequested(asked.adapter_id, asked.device, request)

    def unload(request: int, msg: Msg) -> events.Event:
        asked = _read(LoadRequest, msg)
        return events.UnloadRequested(asked.adapter_id, asked.device, request)

    verbs: tuple[tuple[str, Make, str], ...] = (
        ("status", status, "what the agent has and does"),
        ("drain", drain, "take nothing new, finish what runs"),
        ("undrain", undrain, "bid again"),
        ("load", load, "keep an adapter warm: {adapter_id, device?}"),
        ("unload", unload, "free an adapter's workers: {adapter_id, device?}"),
    )
    return ServiceSpec(
        name=subjects.agent_service,
        version=version,
        description=f"Control of the Pocket3DStudio agent {agent_id}",
        endpoints=[
            Endpoint(verb, subjects.agent_control(agent_id, verb), answering(make), {"description": text})
            for verb, make, text in verbs
        ],
        metadata={"agent_id": agent_id, **metadata},
    )


def _read(kind: type[T], msg: Msg) -> T:
    try:
        return decode(kind, msg.data or b"{}")
    except WireError as error:
        raise ServiceError(400, str(error), field=error.field) from error
