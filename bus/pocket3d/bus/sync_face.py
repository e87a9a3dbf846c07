"""What the client without `await` stands on: an event loop in a thread, and waiting for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator, Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

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


def unwrapped(inputs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A job's inputs with each handle of this client replaced by the one for which it stands."""
    return None if inputs is None else {key: _plain(value) for key, value in inputs.items()}


def unwrapped_parts(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same of the steps of a chain, or the jobs of a group."""
    return [{key: unwrapped(value) if key == "inputs" else value for key, value in part.items()} for part in parts]


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value._target if isinstance(value, SyncFace) else value
