"""What is told of a worker's end, from the facts that were seen. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from pocket3d.contracts.failures import FailureCode

from .launch import ExitReason, WorkerExit, WorkerLaunch

#: Of the last lines, this many end the message.
_LINES_IN_MESSAGE = 12


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
    code, reason, what = _judge(facts, python)
    who = f"worker {pid}" if pid is not None else "the worker"
    message = f"{who} of {launch.spec.adapter_id} on {launch.device.id} {what}"
    if last_lines and not facts.asked:
        message += "; its last lines:\n" + "\n".join(last_lines[-_LINES_IN_MESSAGE:])
    return WorkerExit(
        worker_id=worker_id,
        pid=pid,
        returncode=facts.returncode,
        signal=signal_name(facts.returncode),
        reason=reason,
        asked=facts.asked,
        code=code.value,
        message=message,
        last_lines=last_lines,
    )


def signal_name(returncode: int | None) -> str | None:
    """`SIGSEGV` for -11; None for an exit."""
    if returncode is None or returncode >= 0:
        return None
    try:
        return signal.Signals(-returncode).name
    except ValueError:
        return f"signal {-returncode}"


def _judge(facts: ExitFacts, python: str) -> tuple[FailureCode, ExitReason, str]:
    if facts.spawn_error is not None:
        error = facts.spawn_error
        why = (error.strerror if isinstance(error, OSError) else None) or error
        what = (
            f"could not be started with {python}: {why}; set `python` of the adapter in "
            "models.yaml to an interpreter that exists on this host"
        )
        return FailureCode.ADAPTER_UNAVAILABLE, "spawn_failed", what
    if facts.guardian_error is not None:
        what = (
            "was killed at once: the process that ends workers when the agent is killed could not be started: "
            f"{facts.guardian_error.strerror or facts.guardian_error}"
        )
        return FailureCode.ADAPTER_UNAVAILABLE, "spawn_failed", what
    if facts.memory is not None:
        held, limit = facts.memory
        return (
            FailureCode.OUT_OF_MEMORY,
            "memory_limit",
            f"was killed: with its children it held {held} MB, its limit is {limit} MB",
        )
    if facts.protocol_error is not None:
        code = FailureCode.WORKER_CRASHED if facts.greeted else FailureCode.ADAPTER_UNAVAILABLE
        what = (
            f"was killed: {facts.protocol_error}; {python} imports another Pocket3DStudio than the agent, or the "
            "adapter wrote to the worker's socket"
        )
        return code, "protocol", what
    name = signal_name(facts.returncode)
    if name is not None:
        what = f"was killed by {name}"
        if name == "SIGKILL" and not facts.asked:
            what += ", which the agent did not send (the kernel, when memory runs out, does)"
        return FailureCode.WORKER_CRASHED, "exited", what
    what = f"exited with status {facts.returncode}"
    if not facts.greeted and not facts.asked:
        # It never came as far as the adapter: the interpreter lacks what the worker itself needs.
        return (
            FailureCode.ADAPTER_UNAVAILABLE,
            "exited",
            f"{what} before its first word ({python} needs msgspec and structlog for the worker)",
        )
    return FailureCode.WORKER_CRASHED, "exited", what
