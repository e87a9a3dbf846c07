"""The client without `await`, for scripts and notebooks.

    with connect("nats://127.0.0.1:4222") as client:
        job = client.submit("text_to_mesh", {"text_prompt": "a chair with four legs"})
        for progress in job.progress():
            print(progress.fraction)
        print(job.download("out"))

Every name of `Client` and its handles is there: calls are handed to one event loop in a thread of its own and waited
for, asynchronous iterators become plain ones. Nothing is written twice, so nothing can drift apart. Safe to use from
several threads; not from inside an event loop, which it would block.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Sequence
from types import TracebackType
from typing import Any

from .client import ChainHandle, Client, GroupHandle, JobHandle

_END = object()


class _LoopThread:
    """An event loop that runs in a thread until stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pocket3d client", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False once stopped."""
        return self._thread.is_alive()

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run to its end and return its result; if the waiting is interrupted, so is the coroutine."""
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


class SyncFace:
    """Stands for an object of the asynchronous client: same names, calls that wait."""

    def __init__(self, target: Any, thread: _LoopThread) -> None:
        self._target = target
        self._thread = thread

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not inspect.ismethod(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._settle(value(*args, **kwargs))

        call.__name__, call.__doc__ = name, value.__doc__
        return call

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dir(self._target)]

    def __repr__(self) -> str:
        return f"<sync {self._target!r}>"

    def _settle(self, value: Any) -> Any:
        if inspect.iscoroutine(value):
            value = self._thread.wait(value)
        if isinstance(value, AsyncIterator):
            return self._iterate(value)
        if isinstance(value, (JobHandle, ChainHandle, GroupHandle)):
            return SyncFace(value, self._thread)
        if isinstance(value, list):
            return [self._settle(each) for each in value]
        return value

    def _iterate(self, source: AsyncIterator[Any]) -> Iterator[Any]:
        async def step() -> Any:
            return await anext(source, _END)

        try:
            while (item := self._thread.wait(step())) is not _END:
                yield item
        finally:
            if self._thread.alive and isinstance(source, AsyncGenerator):
                self._thread.wait(source.aclose())


class SyncClient(SyncFace):
    """`Client` without `await`. Make one with `connect`; use it with `with`, or call `close`."""

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect and end the thread. Calling it again does nothing."""
        try:
            if self._thread.alive:
                self._thread.wait(self._target.close())
        finally:
            self._thread.stop()


def connect(server: str | Sequence[str] | None = None, namespace: str = "p3d", **options: Any) -> SyncClient:
    """Connect. Arguments and errors as `Client.connect`."""
    thread = _LoopThread()

    async def open_client() -> Client:
        return await Client.connect(server, namespace, **options)

    try:
        return SyncClient(thread.wait(open_client()), thread)
    except BaseException:
        thread.stop()
        raise
