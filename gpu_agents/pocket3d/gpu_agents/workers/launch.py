"""How a worker is started, and how its end is told, from the facts that were seen. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import msgspec

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.variants import label
from pocket3d.contracts.worker_frames import AdapterSpec

from ..devices.spec import DeviceSpec

#: Of the last lines, this many end the message.
_LINES_IN_MESSAGE = 12


class WorkerLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs to start."""

    #: The adapter that it loads. Its `path` is put on sys.path by the worker itself.
    spec: AdapterSpec
    device: DeviceSpec
    #: MB promised to this worker: what the `LoadModel` frame carries.
    vram_mb: int
    #: Which of the adapter's variants it loads; None if it has none.
    variant: str | None = None
    #: Its framework is to hold no more than that on the device.
    capped: bool = False
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
    pid: int | None = None
    #: Exit status; negative for a signal; None if it could not be started.
    returncode: int | None = None
    #: `stop` (or `aclose`) had been called, or a `Shutdown` frame sent.
    asked: bool = False
    #: The failure code of the runs that it held and of a load that was not finished (a `FailureCode`).
    code: str
    #: For people; ends with the last lines it printed.
    message: str
    #: The last lines of its stdout and stderr, oldest first.
    last_lines: list[str] = []

    @property
    def word(self) -> str:
        """What the log calls it: `worker_ended` for an end that was wanted, which is no failure; else the code."""
        return "worker_ended" if self.asked and self.returncode == 0 else self.code


@dataclass
class ExitFacts:
    """Facts about a worker's end, filled in as they are seen."""

    #: Somebody wanted it to end.
    asked: bool = False
    #: A proper Hello came.
    greeted: bool = False
    protocol_error: str | None = None
    #: ValueError: what it was to be started with holds a null byte.
    spawn_error: OSError | ValueError | None = None
    #: No guardian process could be started for it.
    guardian_error: OSError | None = None
    #: (held, limit) in MB when it was killed for its memory.
    memory: tuple[int, int] | None = None
    returncode: int | None = None


def describe_exit(
    facts: ExitFacts, worker_id: str, pid: int | None, python: str, launch: WorkerLaunch, last_lines: list[str]
) -> WorkerExit:
    """The exit as the agent's engine and people are told of it."""
    code, what = _judge(facts, python)
    who = f"worker {pid}" if pid is not None else "the worker"
    message = f"{who} of {label(launch.spec.adapter_id, launch.variant)} on {launch.device.id} {what}"
    if last_lines and not facts.asked:
        message += "; its last lines:\n" + "\n".join(last_lines[-_LINES_IN_MESSAGE:])
    return WorkerExit(
        worker_id=worker_id,
        pid=pid,
        returncode=facts.returncode,
        asked=facts.asked,
        code=code.value,
        message=message,
        last_lines=last_lines,
    )


def _judge(facts: ExitFacts, python: str) -> tuple[FailureCode, str]:
    if facts.spawn_error is not None:
        error = facts.spawn_error
        why = (error.strerror if isinstance(error, OSError) else None) or error
        if isinstance(error, OSError) and error.filename != python:
            # The host's trouble: a full or read-only disk, or no more descriptors.
            what = "not be started" if error.filename is None else f"not be given its folder {error.filename}"
            return FailureCode.ADAPTER_UNAVAILABLE, (
                f"could {what}: {why}; this is the agent's host, not the adapter: look at its disk (the agent's "
                "--work-dir) and at its limits of processes and open files"
            )
        return FailureCode.ADAPTER_UNAVAILABLE, (
            f"could not be started with {python}: {why}; set `python` of the adapter in "
            "models.yaml to an interpreter that exists on this host"
        )
    if facts.guardian_error is not None:
        return FailureCode.ADAPTER_UNAVAILABLE, (
            "was killed at once: the process that ends workers when the agent is killed could not be started: "
            f"{facts.guardian_error.strerror or facts.guardian_error}"
        )
    if facts.memory is not None:
        held, limit = facts.memory
        return FailureCode.OUT_OF_MEMORY, (f"was killed: with its children it held {held} MB, its limit is {limit} MB")
    if facts.protocol_error is not None:
        return FailureCode.WORKER_CRASHED if facts.greeted else FailureCode.ADAPTER_UNAVAILABLE, (
            f"was killed: {facts.protocol_error}; {python} imports another Pocket3DStudio than the agent, or the "
            "adapter wrote to the worker's socket"
        )
    if facts.returncode is not None and facts.returncode < 0:
        number = -facts.returncode
        names = [each.name for each in signal.Signals if each == number]
        what = f"was killed by {names[0] if names else f'signal {number}'}"
        if number == signal.SIGKILL and not facts.asked:
            what += ", which the agent did not send (the kernel, when memory runs out, does)"
        return FailureCode.WORKER_CRASHED, what
    what = f"exited with status {facts.returncode}"
    if facts.greeted or facts.asked:
        return FailureCode.WORKER_CRASHED, what
    # It never came as far as the adapter: the interpreter lacks what the worker itself needs.
    return FailureCode.ADAPTER_UNAVAILABLE, (
        f"{what} before its first word ({python} needs msgspec and structlog for the worker)"
    )
