"""What the service asks of worker processes: the part of `workers.WorkerHost` that it uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pocket3d.contracts.worker_frames import Frame

from ..workers.launch import WorkerExit, WorkerLaunch


class WorkerProcesses(Protocol):
    """`workers.WorkerHost`, or something in a test that behaves like it."""

    async def start(
        self,
        worker_id: str,
        launch: WorkerLaunch,
        on_frame: Callable[[str, Any], None],
        on_exit: Callable[[WorkerExit], None],
    ) -> int | None:
        """Start a worker; a failure is told as its exit."""

    async def send(self, worker_id: str, frame: Frame) -> bool:
        """Give it a frame; False if it is gone."""

    def begin(self, worker_id: str, frame: Frame) -> None:
        """As `send`, for those who need not know what comes of it."""

    async def stop(self, worker_id: str, kill: bool = False) -> None:
        """SIGTERM or SIGKILL to its process group."""

    async def aclose(self, grace_s: float = 5.0) -> None:
        """End all workers."""
