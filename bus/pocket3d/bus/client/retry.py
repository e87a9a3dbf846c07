"""Retries idempotent operations while the server cannot be reached, up to a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..port import TEMPORARILY_UNAVAILABLE, Disconnected, NoResponders, OutcomeUnknown, Refused

T = TypeVar("T")

_PAUSE_S = 0.25
#: As long as a replicated stream may be without a leader, seconds.
NO_STREAM_S = 8.0


async def retry_until(action: Callable[[], Awaitable[T]], deadline: float) -> T:
    """Repeat an action while there is no connection, no answer or no leader, until `deadline` (of the loop's clock).

    Raises:
        NoResponders: for 8 s nobody was there to answer: that is no restart but a missing stream.
        Disconnected, OutcomeUnknown: at the deadline.
        Refused: for another reason than a cluster without a leader, or at the deadline.
    """
    loop = asyncio.get_running_loop()
    absent_since: float | None = None
    while True:
        try:
            return await action()
        except (Disconnected, OutcomeUnknown):
            absent_since = None
            if loop.time() + _PAUSE_S > deadline:
                raise
        except Refused as error:
            if error.code != TEMPORARILY_UNAVAILABLE or loop.time() + _PAUSE_S > deadline:
                raise
        except NoResponders:
            absent_since = loop.time() if absent_since is None else absent_since
            if loop.time() + _PAUSE_S > min(deadline, absent_since + NO_STREAM_S):
                raise
        await asyncio.sleep(_PAUSE_S)
