"""What the client without `await` stands on: an event loop in a thread, and waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V")

_END = object()


class LoopThread:
    """An event loop that runs in a thread until stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pocket3d client", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once stopped."""
        return self._thread.is_alive()

    def wait(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run to its end and return its result; if the waiting is interrupted, so is the coroutine.

        Raises:
            RuntimeError: the client is closed.
        """
        if not self.alive:
            coroutine.close()
            raise RuntimeError("the client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End what still runs, then the loop and its thread."""
        if not self.alive:
            return
        self.wait(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()


class SyncFace(Generic[T]):
    """Stands for an object of the asynchronous client: same names, calls that wait."""

    def __init__(self, target: T, thread: LoopThread) -> None:
        self._target = target
        self._thread = thread

    def __repr__(self) -> str:
        return f"<sync {self._target!r}>"

    def _wait(self, coroutine: Coroutine[Any, Any, R]) -> R:
        return self._thread.wait(coroutine)

    def _iterate(self, source: AsyncGenerator[R, None]) -> Generator[R, None, None]:
        async def step() -> Any:
            return await anext(source, _END)

        try:
            while (item := self._thread.wait(step())) is not _END:
                yield item
        finally:
            if self._thread.alive:
                self._thread.wait(source.aclose())


def unwrapped(value: V) -> V:
    """Inputs with each handle of this client among them, at any depth, replaced by the one for which it stands."""
    found: Any = value
    if isinstance(value, SyncFace):
        found = value._target
    elif isinstance(value, Mapping):
        found = {key: unwrapped(inner) for key, inner in value.items()}
    elif isinstance(value, (list, tuple)):
        found = [unwrapped(inner) for inner in value]
    result: V = found
    return result
