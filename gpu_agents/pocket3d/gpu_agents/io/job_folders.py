"""The agent's folder on disk: one per incarnation of the agent, with a folder per job and per worker in it.

An incarnation holds a lock on its folder as long as its process lives. So the folder of a killed agent is told from one
that another agent on the same host is using, and is removed at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
from collections import deque
from pathlib import Path

import structlog

from ..workers.folder_removal import remove_tree

log = structlog.get_logger(__name__)

_LOCK = "lock"
#: Empty job folders kept ready: a job does not wait for the disk, and a burst of jobs is one visit to it.
_SPARE = 16
#: How long a folder that is done with may wait for others to be tidied up with, seconds.
_TIDY_S = 0.05


class WorkFolder:
    """The folder of one incarnation of an agent. `open` and `close` block.

    Args:
        root: shared by all incarnations of this agent id.
        name: the incarnation.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._root = root.resolve()
        self.path = self._root / name
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder, for this user alone, and remove those of incarnations whose process has ended.

        Raises:
            OSError: the folder cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for other in self._root.iterdir():
            if other != self.path and other.is_dir():
                _remove_if_dead(other)

    def close(self) -> None:
        """Remove the folder."""
        remove_tree(self.path)
        self.unlock()

    def unlock(self) -> None:
        """Let a later incarnation remove the folder; a process that ends does it without asking."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def worker(self, worker_id: str) -> Path:
        """A worker's working directory."""
        return self.path / "workers" / worker_id


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR)
    except OSError:
        # Not an incarnation's folder, or one that is just being made.
        return
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(folder)
    finally:
        os.close(lock)


class JobFolders:
    """A folder for each job, with `in` and `out` inside. The disk is visited in threads, for many jobs at a time.

    Args:
        root: where they are made; its own.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # Texts, not paths: each is looked at for every job.
        self._spare: deque[str] = deque()
        self._wanted = 0
        self._last = 0
        self._making = asyncio.Lock()
        self._homes: dict[str, str] = {}
        self._leaving: list[str] = []
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def home(self, token: str) -> str:
        """A job's folder.

        Raises:
            KeyError: it has none.
        """
        return self._homes[token]

    def take_now(self, token: str) -> str | None:
        """Give a job a folder that is ready; None if there is none, or others wait."""
        if self._wanted or not self._spare:
            return None
        home = self._homes[token] = self._spare.popleft()
        return home

    async def take(self, token: str) -> str:
        """Give a job its folder.

        Raises:
            OSError: it cannot be made.
        """
        self._wanted += 1
        try:
            while not self._spare:
                await self.refill()
            home = self._homes[token] = self._spare.popleft()
        finally:
            self._wanted -= 1
        return home

    async def refill(self) -> None:
        """Have folders ready for whoever waits, and some more."""
        async with self._making:
            missing = self._wanted + _SPARE - len(self._spare)
            if missing > 0:
                first = self._last + 1
                self._last += missing
                self._spare += await asyncio.to_thread(_make, self._root, first, missing)

    def give_back(self, token: str) -> None:
        """A job's folder is needed no more; nothing if it has none. `tidy` sees to it a moment later: the disk is not
        what the next job waits for.
        """
        home = self._homes.pop(token, None)
        if home is None:
            return
        self._leaving.append(home)
        if len(self._leaving) >= _SPARE // 2:
            self._due.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TIDY_S, self._due.set)

    async def tidy(self) -> None:
        """Empty or remove what was given back, and have folders ready. Runs for ever."""
        while True:
            await self._due.wait()
            self._due.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            leaving, self._leaving = self._leaving, []
            first = self._last + 1
            self._last += len(leaving)
            self._spare += await asyncio.to_thread(_renew, self._root, leaving, first, _SPARE - len(self._spare))
            if len(self._spare) < _SPARE // 2 and not self._making.locked():
                try:
                    await self.refill()
                except OSError as error:
                    # The job that needs one says so as its failure.
                    log.warning("no job folders can be made ready", folder=str(self._root), error=str(error))


def _make(root: Path, first: int, count: int) -> list[str]:
    made = []
    for number in range(first, first + count):
        home = root / str(number)
        (home / "in").mkdir(parents=True)
        (home / "out").mkdir()
        made.append(str(home))
    return made


def _renew(root: Path, homes: list[str], first: int, wanted: int) -> list[str]:
    """Give up to `wanted` of the folders that were left empty a new name, and remove the others.

    Three system calls where making and removing takes fifteen. What a job's stray thread still writes under the old
    name fails as if the folder were gone.
    """
    renewed: list[str] = []
    for number, home in enumerate(homes, first):
        try:
            if len(renewed) < wanted and _as_made(home):
                fresh = f"{root}/{number}"
                os.rename(home, fresh)  # noqa: PTH104  # half the time
                renewed.append(fresh)
                continue
        except OSError:
            # A job that removed its own folder.
            pass
        remove_tree(home)
    return renewed


def _as_made(home: str) -> bool:
    """True if a folder is as `_make` leaves it. A job may have put files beside `out`, a link in its place, or taken
    away the right to write to it: the next one is to find none of that.
    """
    with os.scandir(home) as entries:
        found = {each.name: each for each in entries}
    if found.keys() != {"in", "out"}:
        return False
    modes = [each.stat(follow_symlinks=False).st_mode for each in found.values()]
    return all(stat.S_ISDIR(mode) and mode & stat.S_IRWXU == stat.S_IRWXU for mode in modes) and not any(
        os.listdir(each.path)  # noqa: PTH208  # texts
        for each in found.values()
    )
