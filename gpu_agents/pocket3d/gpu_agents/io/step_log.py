"""One line in the log for each step of a job on this agent, from its acceptance to its end."""

from __future__ import annotations

from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import is_file_key

from ..engine.lifecycle import RunState, Step, WorkerState
from ..engine.records import Run

_STEPS: dict[RunState | WorkerState, str] = {
    RunState.ACCEPTED: "job accepted",
    RunState.FETCHING: "job fetching",
    RunState.LOADING: "job loading",
    RunState.RUNNING: "job running",
    RunState.CANCELLING: "job stopping",
    RunState.UPLOADING: "job uploading",
}
_ENDS: dict[str, str] = {
    FailureCode.CANCELLED.value: "job cancelled",
    FailureCode.HANDED_BACK.value: "job handed back",
}


def log_moves(moves: Iterable[tuple[Run, Step]], log: FilteringBoundLogger) -> None:
    """Say what runs went through, to a logger with the agent's own fields."""
    for run, step in moves:
        said = _words(run, step)
        if said is None:
            continue
        event, fields = said
        award = run.award
        log.info(
            event,
            job_id=award.job_id,
            attempt=award.attempt,
            token=award.token,
            adapter_id=award.adapter_id,
            device=award.device,
            **({} if run.worker.variant is None else {"variant": run.worker.variant}),
            **fields,
        )


def _words(run: Run, step: Step) -> tuple[str, dict[str, str]] | None:
    if step.finish is RunState.REPORTING:
        code = run.end_code or ""
        return _ENDS.get(code, "job failed"), {"code": code, "why": step.why.removeprefix(f"{code}: ")}
    if step.finish is RunState.DONE:
        if step.start is not RunState.STORING:
            # Its end was told when it came; now the coordinator has noted it.
            return None
        return ("job stored", {}) if run.won else ("job stored by another attempt", {"why": step.why})
    if step.finish is RunState.STORING or (
        step.finish is RunState.FETCHING and not any(map(is_file_key, run.award.job.inputs))
    ):
        # Milliseconds, unless something fails: the next line says so.
        return None
    return _STEPS[step.finish], {} if step.start is None else {"why": step.why}
