"""Streams and buckets that somebody removed while coordinators run: they are made again, and that is said once.

Consumers are not its matter: the pulls notice what is missing, and know where it stood.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pocket3d.bus.port import Bus, BusError
from pocket3d.bus.topology import Topology

from .jetstream_notice import JetStreamNotice

log = structlog.get_logger(__name__)

#: From one look to the next, seconds.
LOOK_S = 3.0
#: A standby acts only on what is missing for so many looks: the leader comes first, unless it is gone too.
_STANDBY_LOOKS = 3


class TopologyUpkeep:
    """Of one coordinator.

    Args:
        bus: its connection.
        topology: what is to be there.
        leads: whether this coordinator leads.
        jetstream: is told whether it could be asked.
    """

    def __init__(self, bus: Bus, topology: Topology, leads: Callable[[], bool], jetstream: JetStreamNotice) -> None:
        self._bus = bus
        self._topology = topology
        self._leads = leads
        self._jetstream = jetstream
        self._looks = 0
        self._told: list[str] = []

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except BusError as error:
                log.debug("the streams could not be looked at", error=str(error))
                await self._jetstream.failed("streams", error)
            else:
                self._jetstream.served("streams")

    async def _look(self) -> None:
        missing = await self._bus.missing(self._topology)
        if not missing:
            self._looks, self._told = 0, []
            return
        self._looks += 1
        if not self._leads() and self._looks < _STANDBY_LOOKS:
            return
        if missing != self._told:
            self._told = missing
            log.warning("streams were removed from the server; they are made again", streams=missing)
        await self._bus.ensure(self._topology)
