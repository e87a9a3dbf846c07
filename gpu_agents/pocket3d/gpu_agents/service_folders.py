"""The agent's folder on disk: one per life of the agent, with a folder per job and per worker in it.

A life holds a lock on its folder as long as its process lives, so what a killed agent left behind is told from what
another agent on the same host is using, and is removed at the next start. All functions here block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

_LOCK = "lock"


class WorkFolder:
    """The folder of one life of an agent.

    Args:
        root: shared by all lives of this agent id.
        name: of this life.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root = root.resolve()
        self.path = self._root / name
        self._lock: int | None = None

    def open(self) -> None:
        """Make it, and remove what dead lives left.

        Raises:
            OSError: the folder cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for other in self._root.iterdir():
            if other != self.path and other.is_dir():
                _remove_if_dead(other)

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def job(self, token: str) -> Path:
        """Where a job's files are."""
        return self.path / "jobs" / token

    def worker(self, worker_id: str) -> Path:
        """A worker's working directory."""
        return self.path / "workers" / worker_id


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        # Not a life's folder, or one that is just being made.
        return
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
