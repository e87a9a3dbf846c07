"""All workers of one agent.

Nothing of a worker is left when its exit is told: its group is killed, with what left the group but kept its
environment, and its leader is reaped. (Where the agent is process 1 of a container, run it under an init: grandchildren
become the init's to reap.) When the agent itself is killed, the workers notice, and a guardian process kills whatever
of them is left.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pocket3d.contracts.worker_frames import Frame

from .environment import link_namespace
from .guardian import Guardian
from .launch import WorkerLaunch
from .process import OnExit, OnFrame, WorkerProcess


class WorkerHost:
    """Starts and ends workers, and carries their frames. All methods belong to one event loop.

    Args:
        root: folder of this agent alone, for the import root of the workers.
        agent_id: for the log.
        namespace: the import root to use instead of one made in `root` (see `link_namespace`).
    """

    def __init__(self, root: Path, agent_id: str, *, namespace: Path | None = None) -> None:
        self._root = root
        self._agent_id = agent_id
        self._guardian = Guardian()
        self._workers: dict[str, WorkerProcess] = {}
        self._namespace = namespace
        self._starting: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self, worker_id: str, launch: WorkerLaunch, on_frame: OnFrame, on_exit: OnExit) -> int | None:
        """Start a worker; after its `Hello` it is sent `LoadModel`.

        Args:
            worker_id: any text, unique among the workers that have not ended.
            launch: what to start.
            on_frame: called in the loop with (worker_id, frame) for each frame, `Hello` first; progress frames that
                arrive faster than they are handled are dropped but for the latest.
            on_exit: called in the loop once, after the last frame; also when the start fails.

        Returns:
            Its process id, also that of its process group; None if it could not be started.

        Raises:
            ValueError: the id is in use.
            RuntimeError: the host is closing.
            NamespaceError: Pocket3DStudio's adapters are not installed.
        """
        if self._closing:
            raise RuntimeError("the worker host is closing")
        if worker_id in self._workers:
            raise ValueError(f"a worker {worker_id!r} is there already")
        worker = WorkerProcess(worker_id, launch, on_frame, on_exit, guardian=self._guardian, agent_id=self._agent_id)
        self._workers[worker_id] = worker
        # A caller that gives up half-way must not leave a process that nobody knows.
        task = asyncio.create_task(self._start(worker_id, worker))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)
        await asyncio.shield(task)
        return worker.pid

    async def _start(self, worker_id: str, worker: WorkerProcess) -> None:
        try:
            if self._namespace is None:
                self._namespace = await asyncio.to_thread(link_namespace, self._root / "namespace")
            await worker.start(self._namespace)
        finally:
            if worker.ended is None:
                del self._workers[worker_id]
            else:
                worker.ended.add_done_callback(lambda _: self._workers.pop(worker_id, None))

    async def send(self, worker_id: str, frame: Frame) -> bool:
        """Give a worker a frame; waits while it does not read (stop it to end that).

        Returns:
            False if the worker is gone; its exit is told or will be.

        Raises:
            FrameError: the frame cannot be sent to anybody (too long, or not for msgpack).
        """
        sending = self.begin(worker_id, frame)
        return sending if isinstance(sending, bool) else await asyncio.shield(sending)

    def begin(self, worker_id: str, frame: Frame) -> bool | asyncio.Task[bool]:
        """As `send`, but the frame leaves before this returns if the worker's socket has room; else the task that waits
        for it.

        Raises:
            FrameError: the frame cannot be sent to anybody.
        """
        worker = self._workers.get(worker_id)
        return worker is not None and worker.begin(frame)

    async def stop(self, worker_id: str, kill: bool = False) -> None:
        """SIGTERM (or SIGKILL) to the worker's process group. Returns at once; its exit is told. Unknown: nothing."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            worker.stop(kill=kill)

    def pid(self, worker_id: str) -> int | None:
        """Of a worker that has not ended."""
        worker = self._workers.get(worker_id)
        return worker.pid if worker is not None else None

    async def aclose(self, grace_s: float = 5.0) -> None:
        """End all workers: SIGTERM, after `grace_s` SIGKILL. All exits have been told when it returns."""
        self._closing = True
        if self._starting:
            await asyncio.wait(self._starting)
        for kill, timeout in ((False, grace_s), (True, None)):
            for worker in self._workers.values():
                worker.stop(kill=kill)
            ends = [worker.ended for worker in self._workers.values() if worker.ended is not None]
            if ends:
                await asyncio.wait(ends, timeout=timeout)
        await self._guardian.aclose()
