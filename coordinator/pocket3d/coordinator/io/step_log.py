"""One line in the log for each step of a job: queued, awarded, started, requeued, ended."""

from __future__ import annotations

from typing import Any

import structlog

from pocket3d.contracts.messages import Status

from ..engine.effects import Effect, PublishEvent, SendAwards

log = structlog.get_logger(__name__)


def log_queued(status: Status) -> None:
    """A job's first event is stored: it waits, or is no job at all."""
    if status.status == "rejected":
        _log_ended(status)
    else:
        log.info("job queued", job_id=status.job_id, feature=status.feature, priority=status.priority)


def log_step(effect: Effect) -> None:
    """What an effect means for a job, if it is a step of one."""
    if isinstance(effect, SendAwards):
        for item in effect.awards:
            log.info(
                "job awarded",
                job_id=item.job_id,
                attempt=item.attempt,
                agent_id=effect.agent_id,
                device=item.device,
                adapter_id=item.adapter_id,
                token=item.token,
                **({} if item.variant is None else {"variant": item.variant}),
            )
    elif isinstance(effect, PublishEvent):
        status = effect.status
        if effect.event == "started":
            log.info("job started", job_id=status.job_id, attempt=status.attempt, agent_id=status.agent_id)
        elif effect.event == "requeued":
            log.info("job requeued", job_id=status.job_id, attempt=status.attempt, why=status.reason)
        else:
            _log_ended(status)


def _log_ended(status: Status) -> None:
    more: dict[str, Any] = {}
    if status.error is not None:
        more = {"code": status.error.code, "why": status.error.message}
    if status.agent_id is not None:
        more["agent_id"] = status.agent_id
    log.info("job ended", job_id=status.job_id, status=status.status, attempt=status.attempt, **more)
