"""How a worker is started, and how its end is told."""

from __future__ import annotations

from typing import Literal

import msgspec

from pocket3d.contracts.worker_frames import AdapterSpec

from ..devices.spec import DeviceSpec

ExitReason = Literal["exited", "spawn_failed", "protocol", "memory_limit"]


class WorkerLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs to start."""

    #: The adapter that it loads. Its `path` is put on sys.path by the worker itself.
    spec: AdapterSpec
    device: DeviceSpec
    #: MB promised to this worker: what the `LoadModel` frame carries.
    vram_mb: int
    #: The interpreter: an absolute path, or a name found on PATH. None for the agent's own.
    python: str | None = None
    #: Added to the agent's environment (without its NATS_* and POCKET3D_* settings). It cannot change which GPU is
    #: seen; its PYTHONPATH comes after Pocket3DStudio's own.
    env: dict[str, str] = {}
    #: Further folders for PYTHONPATH, after Pocket3DStudio's own.
    path: list[str] = []
    #: Working directory of this worker alone: created if missing, and removed with all its content when the worker has
    #: ended, so jobs' own directories must lie elsewhere. Its subfolder `tmp` becomes TMPDIR.
    work_dir: str
    #: The worker with its children is killed when they hold more than this, MB (see `memory.py`); None for no limit.
    memory_limit_mb: int | None = None


class WorkerExit(msgspec.Struct, frozen=True, kw_only=True):
    """A worker is gone, with every process of its group. Told once, after its last frame."""

    worker_id: str
    #: None if it could not be started.
    pid: int | None
    #: Exit status; negative for a signal; None if it could not be started.
    returncode: int | None
    #: e.g. `SIGSEGV`.
    signal: str | None
    reason: ExitReason
    #: `stop` (or `aclose`) had been called, or a `Shutdown` frame sent.
    asked: bool
    #: The failure code of the runs that it held and of a load that was not finished (a `FailureCode`).
    code: str
    #: For people; ends with the last lines it printed.
    message: str
    #: The last lines of its stdout and stderr, oldest first.
    last_lines: list[str]
