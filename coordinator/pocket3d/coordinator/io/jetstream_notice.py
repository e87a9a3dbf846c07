"""JetStream that goes away while a coordinator runs: said once with what to do, and once when it is back."""

from __future__ import annotations

import structlog

from pocket3d.bus.jetstream_away import why_nothing_is_stored
from pocket3d.bus.port import Bus, BusError

log = structlog.get_logger(__name__)

#: Failures in a row of one kind of request until it is said: an election of the cluster's leader costs one or two.
_FAILURES = 3


class JetStreamNotice:
    """Of one coordinator. It is told what became of the requests that are made all the time, by kind.

    Args:
        bus: its connection.
        stream: one that it writes to.
    """

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self._stream = stream
        self._failed: dict[str, int] = {}
        self._told = False

    async def failed(self, kind: str, error: BusError) -> None:
        """A request was not served. A connection that is lost is told elsewhere."""
        if not self._bus.connected:
            return
        self._failed[kind] = self._failed.get(kind, 0) + 1
        if self._told or self._failed[kind] < _FAILURES:
            return
        self._told = True
        why = await why_nothing_is_stored(self._bus, self._stream)
        log.warning("JetStream serves this coordinator no more: jobs wait until it does", why=why or str(error))

    def served(self, kind: str) -> None:
        """A request was served."""
        self._failed.pop(kind, None)
        if self._told and not self._failed:
            self._told = False
            log.info("JetStream serves this coordinator again")
