"""Looks whether this agent can store what its jobs make, and says why not and what to do about it.

At a leaf node, or with a user who may do less, core messages pass and JetStream does not: such an agent would win
auctions, run its jobs to the end, and keep all of their results.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pocket3d.bus.jetstream_away import NO_ROOM
from pocket3d.bus.names import chunk_subject, object_stream, record_subject
from pocket3d.bus.port import Bus, BusError, Conflict, Expect, NoResponders, OutcomeUnknown, Refused

from ..engine.events import StorageChecked

#: What may pass by itself is tried again for so long, with pauses, seconds.
_PATIENCE_S = 6.0
_PAUSE_S = 0.25
#: A sequence that no stream reaches: a write that expects it is judged, and refused.
_NEVER = 2**53 - 1
#: "no such permission", and JetStream's code for: no such stream.
_FORBIDDEN, _NO_STREAM = 403, 10059
#: A store that is full, of whatever.
_FULL = NO_ROOM | {10028, 10077}


def never_passes(error: BusError) -> bool:
    """True if an error stays until somebody changes the server or this agent's user."""
    return isinstance(error, Refused) and error.code in (_FORBIDDEN, _NO_STREAM)


def explained(error: BusError) -> str:
    """An error of the bus, with what it means for an agent; what to do about JetStream itself it says already."""
    advice = ""
    if isinstance(error, NoResponders):
        advice = "at a leaf node, set default_js_domain to the hub's domain"
    elif isinstance(error, OutcomeUnknown):
        advice = "the server is overloaded, or its JetStream has no leader: see nats server report jetstream"
    elif isinstance(error, Refused) and error.code == _FORBIDDEN:
        advice = "give this user the permissions of an agent (docs/operating.md)"
    elif isinstance(error, Refused) and error.code == _NO_STREAM:
        advice = "a coordinator, or pocket3d topology, makes it; is this the right account, domain and namespace?"
    elif isinstance(error, Refused) and error.code in _FULL - NO_ROOM:
        advice = "raise the limits of the stream or the account"
    return f"{error}; {advice}" if advice else str(error)


@dataclass(frozen=True)
class StorageCheck:
    """Asks for the results stream and the outputs' store, and tries to write to the latter."""

    bus: Bus
    results_stream: str
    outputs_bucket: str

    async def look(self) -> StorageChecked:
        """What stands in the way. What may pass by itself is waited for a little."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        while True:
            try:
                await self._reach()
            except BusError as error:
                if not self.bus.connected:
                    return StorageChecked(interrupted=True)
                refused = isinstance(error, Refused) and error.code == _FORBIDDEN
                if refused or loop.time() >= until:
                    return StorageChecked(explained(error), refused)
            else:
                return StorageChecked()
            await asyncio.sleep(_PAUSE_S)

    async def _reach(self) -> None:
        for stream in (self.results_stream, object_stream(self.outputs_bucket)):
            await self.bus.stream_created(stream)
        for subject in (chunk_subject(self.outputs_bucket, "check"), record_subject(self.outputs_bucket, "check")):
            try:
                # Nothing is stored, but who may not write is told so.
                await self.bus.append(subject, b"", expect=Expect(_NEVER))
            except Conflict:
                continue
            except Refused as error:
                # A full store is everybody's; this agent may write to it.
                if error.code not in _FULL:
                    raise
