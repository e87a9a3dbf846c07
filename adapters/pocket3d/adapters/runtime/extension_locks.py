"""The folder in which torch compiles extensions at run time, and the locks that killed workers left in it.

`torch.utils.cpp_extension.load` waits for a file named `lock` without a bound: after a worker that was killed while it
compiled, every later one would wait for ever. No adapter of ours compiles in a job, but others' may.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import structlog

_VARIABLE = "TORCH_EXTENSIONS_DIR"
_LOCK = "lock"
#: A lock younger than this may be that of a build whose compiler has not started yet, seconds.
_YOUNG_S = 60.0

_log = structlog.get_logger()


def own_folder() -> Path | None:
    """This environment's folder, which torch takes from now on: as its variable says, else within the virtual
    environment, since environments of different torches must not share one. None where neither is.
    """
    given = os.environ.get(_VARIABLE)
    if given:
        return Path(given)
    if sys.prefix == sys.base_prefix or not os.access(sys.prefix, os.W_OK):
        return None
    folder = Path(sys.prefix) / "torch_extensions"
    os.environ[_VARIABLE] = str(folder)
    return folder


def remove_stale_locks(folder: Path) -> None:
    """Remove the locks of builds that nobody works at: no process is in the build's folder, as the compiler's driver
    (ninja) is. Does nothing where there is no /proc to tell.
    """
    locks = [each for each in folder.glob(f"*/{_LOCK}") if _older(each)]
    if not locks or not Path("/proc/self/cwd").exists():
        return
    in_use = _current_folders()
    for lock in locks:
        if lock.parent.resolve() not in in_use:
            lock.unlink(missing_ok=True)
            _log.warning("a lock of a build that was broken off is removed", lock=str(lock))


def _older(lock: Path) -> bool:
    try:
        return time.time() - lock.stat().st_mtime > _YOUNG_S
    except OSError:
        # Its build has ended meanwhile.
        return False


def _current_folders() -> set[Path]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        # It may end meanwhile, and others' may not be looked at.
        with contextlib.suppress(OSError):
            found.add(Path(os.readlink(process / "cwd")))  # noqa: PTH115  # what is deleted has no path of its own
    return found
