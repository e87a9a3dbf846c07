"""What a client and its job handles share: the connection, the names on it, and the coordinator's answers."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from pocket3d.contracts.api import ApiRequest
from pocket3d.contracts.subjects import Subjects

from ..port import Bus
from .api_calls import call
from .watch import Links

T = TypeVar("T")

#: How long a request to the coordinator may take, seconds.
API_TIMEOUT_S = 10.0


class Session(NamedTuple):
    """One namespace on one connection."""

    bus: Bus
    subjects: Subjects
    #: Tells what waits on this connection that it is back.
    links: Links

    async def api(self, verb: str, request: ApiRequest, kind: type[T], timeout: float = API_TIMEOUT_S) -> T:
        """As `Client.api`."""
        return await call(self.bus, self.subjects.api(verb), request, kind, timeout, self.subjects.coordinator_service)
