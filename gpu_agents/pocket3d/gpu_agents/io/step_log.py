"""One line in the log for each step of a job on this agent, from its acceptance to its end."""

from __future__ import annotations

from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import is_file_key

from ..engine.lifecycle import RunState
from ..engine.records import Run, RunMove

_STEPS: dict[RunState, str] = {
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


def log_moves(moves: Iterable[RunMove], log: FilteringBoundLogger) -> None:
    """Say what runs went through, to a logger with the agent's own fields."""
    for move in moves:
        said = _words(move)
        if said is None:
            continue
        event, fields = said
        award = move.run.award
        log.info(
            event,
            job_id=award.job_id,
            attempt=award.attempt,
            token=award.token,
            adapter_id=award.adapter_id,
            device=award.device,
            **fields,
        )


def _words(move: RunMove) -> tuple[str, dict[str, str]] | None:
    run: Run = move.run
    if move.finish is RunState.REPORTING:
        code = run.end_code or ""
        return _ENDS.get(code, "job failed"), {"code": code, "why": move.why.removeprefix(f"{code}: ")}
    if move.finish is RunState.DONE:
        if move.start is not RunState.STORING:
            # Its end was told when it came; now the coordinator has noted it.
            return None
        return ("job stored", {}) if run.won else ("job stored by another attempt", {"why": move.why})
    if move.finish is RunState.STORING or (
        move.finish is RunState.FETCHING and not any(map(is_file_key, run.award.job.inputs))
    ):
        # Milliseconds, unless something fails: the next line says so.
        return None
    return _STEPS[move.finish], {} if move.start is None else {"why": move.why}
