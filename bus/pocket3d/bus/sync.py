"""The client without `await`, for scripts and notebooks.

    with connect("nats://127.0.0.1:4222") as client:
        job = client.submit("text_to_mesh", {"text_prompt": "a chair with four legs"})
        for progress in job.progress():
            print(progress.fraction)
        print(job.download("out"))

Every method of `Client` and its handles is there, with its types: calls are handed to one event loop in a thread of its
own and waited for, asynchronous iterators become plain ones. The methods are generated from those of the asynchronous
client (`python -m pocket3d.bus.sync_export --write`), so nothing can drift apart. Safe to use from several threads; not
from inside an event loop, which it would block.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from .client import Client
from .sync_face import LoopThread
from .sync_handles import SyncChain, SyncGroup, SyncJob
from .sync_methods import ClientMethods

__all__ = ["SyncChain", "SyncClient", "SyncGroup", "SyncJob", "connect"]


class SyncClient(ClientMethods):
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
                self._wait(self._target.close())
        finally:
            self._thread.stop()


def connect(server: str | Sequence[str] | None = None, namespace: str = "p3d", **options: Any) -> SyncClient:
    """Connect. Arguments and errors as `Client.connect`."""
    thread = LoopThread()

    async def open_client() -> Client:
        return await Client.connect(server, namespace, **options)

    try:
        return SyncClient(thread.wait(open_client()), thread)
    except BaseException:
        thread.stop()
        raise
