"""NATS micro services (ADR-32) on any bus: discovery answers as the nats CLI's schemas want them, errors in headers.

Written by hand rather than with the NATS client's module, which handles the requests of an endpoint one after the other
and omits fields that the CLI requires.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from pocket3d.contracts.api import ApiError
from pocket3d.contracts.clock import rfc3339

from .port import Bus, BusError, Closable, Endpoint, Msg, ServiceError, ServiceSpec

log = structlog.get_logger(__name__)

#: The queue group that micro services share by convention.
QUEUE = "q"
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
#: Longest error message in a header; the body has all of it.
_HEADER_CHARS = 1000
_TYPE = "io.nats.micro.v1"


class _Statistics:
    """What happened at one endpoint since the service started."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.requests = 0
        self.errors = 0
        self.last_error = ""
        self.nanoseconds = 0

    def report(self) -> dict[str, Any]:
        return {
            "name": self.endpoint.name,
            "subject": self.endpoint.subject,
            "queue_group": QUEUE,
            "metadata": dict(self.endpoint.metadata),
            "num_requests": self.requests,
            "num_errors": self.errors,
            "last_error": self.last_error,
            "processing_time": self.nanoseconds,
            "average_processing_time": self.nanoseconds // self.requests if self.requests else 0,
        }


class Service(Closable):
    """A running service. Requests of one endpoint are handled concurrently."""

    def __init__(self, bus: Bus, spec: ServiceSpec) -> None:
        self._bus = bus
        self._spec = spec
        self._id = secrets.token_hex(11)
        self._started = rfc3339(time.time())
        self._subscriptions: list[Closable] = []
        self._running: set[asyncio.Task[None]] = set()
        self._statistics = [_Statistics(endpoint) for endpoint in spec.endpoints]

    @property
    def id(self) -> str:
        """This instance's id, as discovery shows it."""
        return self._id

    async def start(self) -> None:
        """Subscribe to discovery and to all endpoints; effective on the server on return."""
        name = self._spec.name
        for verb, answer in (("PING", self._ping), ("INFO", self._info), ("STATS", self._stats)):

            async def discover(msg: Msg, answer: Any = answer) -> None:
                await self._bus.respond(msg, msgspec.json.encode(answer()))

            for subject in (f"$SRV.{verb}", f"$SRV.{verb}.{name}", f"$SRV.{verb}.{name}.{self._id}"):
                self._subscriptions.append(await self._bus.subscribe(subject, discover))
        for statistics in self._statistics:

            async def accept(msg: Msg, statistics: _Statistics = statistics) -> None:
                task = asyncio.ensure_future(self._handle(statistics, msg))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

            self._subscriptions.append(await self._bus.subscribe(statistics.endpoint.subject, accept, queue=QUEUE))

    async def close(self) -> None:
        """Take no more requests and finish those begun."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            await subscription.close()
        current = asyncio.current_task()
        while waiting := {task for task in self._running if task is not current}:
            await asyncio.wait(waiting)

    async def _handle(self, statistics: _Statistics, msg: Msg) -> None:
        begun = time.perf_counter_ns()
        headers: dict[str, str] | None = None
        try:
            data = await statistics.endpoint.handler(msg)
        except ServiceError as error:
            data, headers = _failure(error)
        except BusError as error:
            # The handler asks the server itself, which is away or silent: that is nobody's mistake.
            data, headers = _failure(ServiceError(503, f"{error}; ask again"))
        except Exception:
            # A handler's own mistake: the caller gets an answer, the log the story.
            log.exception("an endpoint failed", service=self._spec.name, endpoint=statistics.endpoint.name)
            data, headers = _failure(ServiceError(500, "internal error; the service's log has the story"))
        statistics.requests += 1
        statistics.nanoseconds += time.perf_counter_ns() - begun
        if headers is not None:
            statistics.errors += 1
            statistics.last_error = f"{headers['Nats-Service-Error-Code']}:{headers['Nats-Service-Error']}"
        try:
            await self._bus.respond(msg, data, headers)
        except BusError as error:
            log.warning("an answer could not be sent", endpoint=statistics.endpoint.name, error=str(error))

    def _identity(self, kind: str) -> dict[str, Any]:
        return {
            "type": f"{_TYPE}.{kind}_response",
            "name": self._spec.name,
            "id": self._id,
            "version": self._spec.version,
            "metadata": dict(_metadata(self._spec)),
        }

    def _ping(self) -> dict[str, Any]:
        return self._identity("ping")

    def _info(self) -> dict[str, Any]:
        endpoints = [
            {
                "name": endpoint.name,
                "subject": endpoint.subject,
                "queue_group": QUEUE,
                "metadata": dict(endpoint.metadata),
            }
            for endpoint in self._spec.endpoints
        ]
        return {**self._identity("info"), "description": self._spec.description, "endpoints": endpoints}

    def _stats(self) -> dict[str, Any]:
        return {
            **self._identity("stats"),
            "started": self._started,
            "endpoints": [statistics.report() for statistics in self._statistics],
        }


def _metadata(spec: ServiceSpec) -> Mapping[str, str]:
    return spec.metadata() if callable(spec.metadata) else spec.metadata


def _failure(error: ServiceError) -> tuple[bytes, dict[str, str]]:
    body = msgspec.json.encode(ApiError(error=error.message, code=error.code, field=error.field))
    # A header is one line of bounded length, whatever of a request the message quotes.
    one_line = "".join(char if char.isprintable() else "?" for char in " ".join(error.message.split()))[:_HEADER_CHARS]
    return body, {"Nats-Service-Error": one_line, "Nats-Service-Error-Code": str(error.code)}


def check(spec: ServiceSpec) -> None:
    """Refuse what the nats CLI would silently skip.

    Raises:
        ValueError: a name, version or metadata that its schemas do not take, or two endpoints of one name.
    """
    for name in (spec.name, *(endpoint.name for endpoint in spec.endpoints)):
        if not _NAME.fullmatch(name):
            raise ValueError(f"service or endpoint name {name!r}: want letters, digits, _ and -")
    if not _VERSION.fullmatch(spec.version):
        raise ValueError(f"service {spec.name}: version {spec.version!r} is not a semantic version like 1.2.3")
    names = [endpoint.name for endpoint in spec.endpoints]
    if len(set(names)) != len(names):
        raise ValueError(f"service {spec.name}: two endpoints of one name; `nats micro req` finds only one of them")
    for metadata in (_metadata(spec), *(endpoint.metadata for endpoint in spec.endpoints)):
        if not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError(f"service {spec.name}: metadata values must be strings")


async def serve(bus: Bus, spec: ServiceSpec) -> Service:
    """As `Bus.serve`."""
    check(spec)
    service = Service(bus, spec)
    try:
        await service.start()
    except BaseException:
        await service.close()
        raise
    return service
