"""The micro service of one agent: `p3d.agents.<id>.ctl.status|drain|undrain|load|unload`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pocket3d.bus.port import Endpoint, Msg, ServiceError, ServiceSpec
from pocket3d.contracts.api import ControlRequest, LoadRequest, endpoint_metadata
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.subjects import Subjects

from ..engine import events

#: How long an operator waits for the engine, in seconds. It answers at once unless the agent is stopping.
_ANSWER_S = 5.0

#: Verb, what it does, what is sent with it, what is answered, and the event that it is; that takes what was sent and
#: who waits.
_VERBS: tuple[tuple[str, str, type[ControlRequest], str, Callable[[Any, asyncio.Future[bytes]], events.Event]], ...] = (
    (
        "status",
        "what the agent has and does",
        ControlRequest,
        "advert",
        lambda _, future: events.StatusRequested(future),
    ),
    (
        "drain",
        "take nothing new, finish what runs",
        ControlRequest,
        "ctl.answer",
        lambda _, future: events.DrainRequested(False, future),
    ),
    ("undrain", "bid again", ControlRequest, "ctl.answer", lambda _, future: events.UndrainRequested(future)),
    (
        "load",
        "keep an adapter warm",
        LoadRequest,
        "ctl.answer",
        lambda asked, future: events.LoadRequested(asked.adapter_id, asked.device, future, asked.wanted_variant),
    ),
    (
        "unload",
        "free an adapter's workers",
        LoadRequest,
        "ctl.answer",
        lambda asked, future: events.UnloadRequested(asked.adapter_id, asked.device, future, asked.wanted_variant),
    ),
)
_SCHEMAS: dict[type[ControlRequest], str] = {ControlRequest: "ctl.request", LoadRequest: "ctl.load.request"}


def control_service(
    subjects: Subjects, agent_id: str, version: str, metadata: dict[str, str], emit: Callable[[events.Event], None]
) -> ServiceSpec:
    """What to register on the bus."""

    def answering(
        verb: str, kind: type[ControlRequest], event: Callable[[Any, asyncio.Future[bytes]], events.Event]
    ) -> Callable[[Msg], Awaitable[bytes]]:
        async def handle(msg: Msg) -> bytes:
            try:
                asked = decode(kind, msg.data or b"{}")
            except WireError as error:
                raise ServiceError(400, str(error), field=error.field) from error
            if asked.agent_id not in (None, agent_id):
                # `nats micro req p3d-agent VERB` reaches any one of the agents.
                to = subjects.agent_control(asked.agent_id, verb)
                text = f"this is the agent {agent_id}; send the request to {to} (nothing was done)"
                raise ServiceError(409, text, field="agent_id")
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            emit(event(asked, answer))
            try:
                return await asyncio.wait_for(answer, _ANSWER_S)
            except asyncio.TimeoutError as error:
                raise ServiceError(503, "the agent is stopping") from error

        return handle

    return ServiceSpec(
        name=subjects.agent_service,
        version=version,
        description=f"Control of the Pocket3DStudio agent {agent_id}",
        endpoints=[
            Endpoint(
                verb,
                subjects.agent_control(agent_id, verb),
                answering(verb, kind, event),
                endpoint_metadata(f"{text}; of {agent_id}", kind, _SCHEMAS[kind], answer),
            )
            for verb, text, kind, answer, event in _VERBS
        ],
        metadata={"agent_id": agent_id, **metadata},
    )
