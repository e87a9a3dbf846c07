"""Messages of the agent to the fleet: adverts, outcomes, progress."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import structs

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.commands import AnyOutcome, AttemptFailed, AttemptStarted, AwardAnswer, OutcomesReported
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.messages import AdapterOffer, Advert, DeviceState, Progress, Resident, RunningJob
from pocket3d.contracts.variants import label

from .effects import CleanUp, PublishAdvert, PublishProgress, SendOutcomes
from .events import OutcomesAnswered, RunProgressed
from .intake import closed
from .lifecycle import RunState
from .message_limits import fit_advert, fit_outcomes
from .records import Run
from .state import Core

#: Characters of a failure's message that are sent on: a report of many must stay within the server's limit.
_MAX_MESSAGE = 4000

# ---------------------------------------------------------------- adverts


def full_advert(core: Core, now: Now) -> PublishAdvert:
    """What the agent has and does now, its adapters included as far as the server takes them."""
    return _advert(core, now, full=True)


def _advert(core: Core, now: Now, *, full: bool) -> PublishAdvert:
    identity = core.identity
    none = closed(core)
    # What is on the devices comes first: from the end it is cut.
    runs = sorted(core.runs.values(), key=lambda run: not run.on_device)
    listed = runs[: sum(run.on_device for run in runs) + core.settings.finished_in_adverts]
    advert = Advert(
        **core.sender(),
        host=identity.host,
        pid=identity.pid,
        version=identity.version,
        draining=none is not None and none.code is DeclineCode.DRAINING,
        reason=none.reason if none is not None else None,
        labels=core.settings.labels,
        devices=device_states(core, now),
        residents=[
            Resident(
                adapter_id=worker.adapter_id,
                device=worker.device,
                pid=worker.pid,
                vram_mb=core.device_of(worker).ledger.claim_mb(worker.worker_id),
                idle_s=max(0.0, now.mono - worker.idle_since) if worker.idle_since is not None else 0.0,
                variant=worker.variant,
            )
            for worker in core.workers.values()
            if worker.loaded and worker.pid is not None
        ],
        running=[
            RunningJob(
                job_id=run.award.job_id,
                attempt=run.award.attempt,
                token=run.token,
                adapter_id=run.award.adapter_id,
                device=run.award.device,
                pid=run.worker.pid,
                on_device=run.on_device,
                variant=run.worker.variant,
            )
            for run in listed
        ],
        unlisted=len(runs) - len(listed),
        outcomes=list(dict.fromkeys(outcome.token for outcome in core.outcomes.values())),
        adapters=msgspec.convert([*core.adapters.values()], list[AdapterOffer], from_attributes=True) if full else None,
        preferred_adapters=core.preferred if full else None,
        proposes=True,
    )
    advert, without_schema = fit_advert(advert, core.max_payload)
    core.unlisted = advert.unlisted
    return PublishAdvert(advert, without_schema)


def device_states(core: Core, now: Now) -> list[DeviceState]:
    """The devices as the ledger has them."""
    states = []
    for device in core.devices.values():
        room = device.ledger.room(now.mono)
        states.append(
            DeviceState(
                id=device.spec.id,
                kind=device.spec.kind,
                name=device.spec.name,
                total_mb=room.total_mb,
                free_mb=room.free_mb,
                reserved_mb=room.reserved_mb,
                buffer_mb=room.buffer_mb,
                max_running=room.max_running,
                quarantine=device.health.quarantine(device.running, now.mono),
            )
        )
    return states


def advert_due(core: Core) -> float | None:
    """When the next advert goes out; None while there is no connection, or nobody knows yet whether this agent
    can store what it would be given.
    """
    if not core.connected or not core.storage.checked:
        return None
    return core.advert_at + (core.settings.advert_gap_s if core.changed else core.settings.advert_s)


def publish_advert_if_due(core: Core, now: Now) -> None:
    """Send an advert when it is time: at once on change, but not sooner than the gap after the last."""
    due = advert_due(core)
    if due is None or now.mono < due:
        return
    full = core.adapters_changed or now.mono - core.adapters_at >= core.settings.adapters_s
    core.effects.append(_advert(core, now, full=full))
    core.advert_at = now.mono
    core.changed = False
    if full:
        core.adapters_at = now.mono
        core.adapters_changed = False


# ---------------------------------------------------------------- outcomes


def report_started(core: Core, run: Run, now: Now) -> None:
    """Report that the agent works on an attempt."""
    _report(core, AttemptStarted(**_attempt(run, now), pid=run.worker.pid))


def told_with_start(core: Core, answer: AwardAnswer, now: Now) -> AwardAnswer:
    """The answer to an award, which says that the attempt has started if that was not reported yet. Then the outcome is
    sent later, in case the answer is lost.
    """
    name = f"{answer.token}/attempt_started"
    if name not in core.outcomes or name in core.outcomes_in_flight:
        return answer
    core.outcomes_due[name] = now.mono + core.settings.outcome_retry_s
    told = structs.replace(answer, started=True)
    core.remember(told)
    return told


def report_failed(core: Core, run: Run, code: str, message: str, field: str | None, now: Now) -> None:
    """Report that an attempt ended without a result."""
    outcome = AttemptFailed(
        **_attempt(run, now),
        code=code,
        message=message if len(message) <= _MAX_MESSAGE else message[: _MAX_MESSAGE - 3] + "...",
        field=field,
        vram_peak_mb=run.vram_peak_mb,
        started_at=rfc3339(run.accepted_wall),
        load_s=run.load_s if run.run_started is not None else None,
        run_s=run.run_s,
        beside=run.beside,
        more_room=run.more_room,
    )
    _report(core, outcome)


def _attempt(run: Run, now: Now) -> dict[str, Any]:
    award = run.award
    return {
        "job_id": award.job_id,
        "token": award.token,
        "attempt": award.attempt,
        "device": award.device,
        "adapter_id": award.adapter_id,
        "variant": run.worker.variant,
        "at": rfc3339(now.wall),
    }


def _report(core: Core, outcome: AnyOutcome) -> None:
    kind = "attempt_started" if isinstance(outcome, AttemptStarted) else "attempt_failed"
    core.outcomes[f"{outcome.token}/{kind}"] = outcome
    core.outcomes_earliest = float("-inf")


def outcomes_next(core: Core) -> float | None:
    """Monotonic time of the next report at the earliest; None without outcomes, without a connection, or while a report
    waits for its answer.
    """
    if not core.connected or core.outcomes_in_flight or not core.outcomes:
        return None
    return core.outcomes_earliest


def send_outcomes_if_due(core: Core, now: Now) -> None:
    """Send new outcomes, and those that nobody noted in time; one report is in flight at a time."""
    due = outcomes_next(core)
    if due is None or now.mono < due:
        return
    # Not at every event: each running job may have its start among them.
    core.outcomes_earliest = min(core.outcomes_due.get(name, float("-inf")) for name in core.outcomes)
    if now.mono < core.outcomes_earliest:
        return
    names = [name for name in core.outcomes if core.outcomes_due.get(name, float("-inf")) <= now.mono]
    names = names[: core.settings.outcomes_per_report]
    outcomes = fit_outcomes((core.outcomes[name] for name in names), core.max_payload)
    names = names[: len(outcomes)]
    core.effects.append(SendOutcomes(OutcomesReported(**core.sender(), outcomes=outcomes)))
    core.outcomes_in_flight = tuple(names)


def outcomes_answered(core: Core, event: OutcomesAnswered, now: Now) -> None:
    """Forget the outcomes that the coordinator noted; a noted failure ends its run. The others are sent again later."""
    for name in core.outcomes_in_flight:
        if name in core.outcomes:
            core.outcomes_due[name] = now.mono + core.settings.outcome_retry_s
    core.outcomes_in_flight = ()
    for name in event.noted:
        outcome = core.outcomes.pop(name, None)
        core.outcomes_due.pop(name, None)
        if isinstance(outcome, AttemptFailed):
            finish(core, outcome.token, "its end was noted", now)


def finish(core: Core, token: str, why: str, now: Now) -> None:
    """Forget a run whose end is decided and known; only the answer to its award is kept."""
    run = core.runs.pop(token, None)
    if run is None:
        return
    if run.state is not RunState.REPORTING:
        # A run that failed was cleaned up then; once more would end the removal of its artifacts.
        core.effects.append(CleanUp(token))
    run.move(RunState.DONE, why, now.mono)
    for name in (f"{token}/attempt_started", f"{token}/attempt_failed"):
        core.outcomes.pop(name, None)
        core.outcomes_due.pop(name, None)
    core.changed = True


# ---------------------------------------------------------------- progress


def run_progressed(core: Core, event: RunProgressed, now: Now) -> None:
    """Publish progress, or hold back the latest until its time."""
    run = core.runs.get(event.token)
    if run is None or run.run_started is None or not run.on_device:
        return
    run.progress = _progress(core, run, event.fraction, event.stage, event.message, now)
    if event.fraction is not None and event.fraction >= 1:
        # Its end mostly follows at once and takes this along; if not, it is told a moment later.
        run.progress_at = now.mono + core.settings.progress_gap_s
    flush_progress(core, run, now)


def tell_loading(core: Core, run: Run, now: Now) -> None:
    """Publish the stage before the first of the run itself: its model is being loaded, which may take minutes."""
    if core.connected:
        text = f"loading {label(run.worker.adapter_id, run.worker.variant)}"
        core.effects.append(PublishProgress(_progress(core, run, 0.0, "loading", text, now)))


def _progress(
    core: Core, run: Run, fraction: float | None, stage: str | None, message: str | None, now: Now
) -> Progress:
    return Progress(
        job_id=run.award.job_id,
        feature=run.award.feature,
        attempt=run.award.attempt,
        agent_id=core.identity.agent_id,
        fraction=fraction,
        stage=stage,
        message=message,
        at=rfc3339(now.wall),
    )


def flush_progress(core: Core, run: Run, now: Now, *, last: bool = False) -> None:
    """Send what was held back, when its time has come; the last of a run at once, or nobody would ever see it."""
    if run.progress is None or (now.mono < run.progress_at and not last):
        return
    if core.connected:
        core.effects.append(PublishProgress(run.progress))
    run.progress = None
    run.progress_at = now.mono + core.settings.progress_gap_s
