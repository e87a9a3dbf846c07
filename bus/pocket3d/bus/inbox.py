"""Events for the one task that owns an engine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue with one reader, which it wakes once for all that has come.

    `asyncio.Queue` takes a dozen calls for each item, and a job is some ten events for the coordinator.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._reader: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        """Add one; it never waits."""
        self._items.append(item)
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def drain(self) -> list[T]:
        """Take out all that has not been read."""
        items = list(self._items)
        self._items.clear()
        return items

    async def read(self, handle: Callable[[T], None]) -> None:
        """Hand each item to `handle`, in order, for ever; what it raises ends the reading."""
        while True:
            while self._items:
                handle(self._items.popleft())
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
