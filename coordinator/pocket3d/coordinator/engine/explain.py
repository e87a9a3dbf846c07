"""Why a job is not running, in codes and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from msgspec import structs

from pocket3d.contracts.api import Explanation, FeatureAdapter, FeatureInfo, TenantTurn
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.features import KNOWN_FEATURES, required_inputs
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.variants import best_first, label

from ..auction.expected import Expected
from ..auction.fleet import AgentView
from ..auction.queue import Line
from .job import Attempt, JobRecord
from .state import Core

#: Tenants that `explain` names of those that are next.
_TENANTS_NAMED = 8
#: Jobs ahead are counted up to so many: a question must not hold up the others.
_COUNTED = 5000
#: Sources of a held job of which `explain` says where they stand.
_SOURCES_TOLD = 4


def explain(core: Core, record: JobRecord, now: Now) -> Explanation:
    """The state of an unfinished job and what it waits for."""
    return structs.replace(_explain(core, record, now), size_class=record.job_class.size_class)


def _explain(core: Core, record: JobRecord, now: Now) -> Explanation:
    state = record.state
    if state in (JobState.AWARDED, JobState.RUNNING) and record.attempt is not None:
        attempt = record.attempt
        place = f"{attempt.agent_id}/{attempt.device} with {label(attempt.adapter_id, attempt.variant)}"
        word = "was awarded to" if state is JobState.AWARDED else "runs on"
        summary = f"{word} {place}, attempt {attempt.number}{_why_no_better(core, record, attempt, now)}"
        return _with_cost(Explanation(status=state.value, summary=summary), record, attempt.expected)
    if state in (JobState.FINISHING, JobState.FINISHED):
        return Explanation(status="finishing", summary="its result is being stored")
    if state is JobState.RECOVERING:
        return Explanation(status="queued", summary="a new leader asks the agents whether one of them runs it")
    if state is JobState.SUBMITTED:
        return Explanation(status="submitted", summary="it has just been read")
    return _waiting(core, record, now)


def _with_cost(told: Explanation, record: JobRecord, expected: Expected) -> Explanation:
    """The explanation with what the job is expected to take there."""
    summary = told.summary + expected.told(record.job_class.size_class)
    return structs.replace(told, summary=summary, expected_run_s=expected.run_s, expected_mb=expected.mb)


def _why_no_better(core: Core, record: JobRecord, attempt: Attempt, now: Now) -> str:
    """Why a job that names no variant does not run in the adapter's best, in words."""
    offers = (view.adapters.get(attempt.adapter_id) for view in core.fleet.agents.values())
    variants = {each.name: each for offer in offers if offer is not None for each in offer.variants}
    own = variants.get(attempt.variant or "")
    better = [each.name for each in best_first(variants.values()) if own is not None and each.quality > own.quality]
    if not better or record.job_class.variant is not None:
        return ""
    failed = [each.variant for each in record.group_key().raised if each.adapter_id == attempt.adapter_id]
    if failed:
        return f"; it ran out of memory as {', '.join(failed)}"
    if attempt.passed_over is None and _is_benched(core, attempt, better[0], now):
        return f"; {better[0]} is left out there for a while after failures in a row"
    return f"; {attempt.passed_over or f'no device had room for it as {better[0]}'}"


def _is_benched(core: Core, attempt: Attempt, variant: str, now: Now) -> bool:
    place = attempt.agent_id, attempt.device, attempt.adapter_id
    return core.fleet.benches.left_s(*place, now.mono, variant) > 0.0


def explain_turn(core: Core, record: JobRecord, now: Now) -> Explanation:
    """As `explain`, and whose turn comes before that of a waiting job's tenant, or where the sources of a held one
    stand. It looks at every tenant.
    """
    told = explain(core, record, now)
    if told.waits_for:
        return structs.replace(told, summary=told.summary + sources_in_words(core, told.waits_for, now))
    group = core.queue.group_of(record.group_key()) if record.state is JobState.QUEUED else None
    line = group.lines.get(record.job_class.tenant) if group is not None else None
    if line is None or record.not_before > now.mono:
        return told
    account = line.flow.account
    before = core.queue.share.before(line.flow)
    turn = TenantTurn(
        tenant=account.tenant,
        place=len(before) + 1,
        before=before[:_TENANTS_NAMED],
        own_before=_before(line, record),
        queued=account.queued,
        running=account.running,
        max_running=account.settings.max_running,
        weight=account.settings.weight,
    )
    summary = told.summary
    if before and not account.at_limit:
        more = "" if len(before) <= _TENANTS_NAMED else f" and {len(before) - _TENANTS_NAMED} more"
        summary += f"; its tenant's turn comes after those of {', '.join(turn.before)}{more}"
    return structs.replace(told, summary=summary, turn=turn)


def sources_in_words(core: Core, job_ids: Sequence[str], now: Now) -> str:
    """Where the jobs stand whose files another one waits for, to be put behind its summary."""
    told = ""
    for job_id in job_ids[:_SOURCES_TOLD]:
        source, until = core.jobs.get(job_id), core.held.unknown.of(job_id)
        if source is not None:
            told += f"; {job_id}: {explain(core, source, now).summary}"
        elif until < math.inf:
            told += f"; {job_id}: no such job is known, and it may come for {max(until - now.mono, 0.0):.0f} s more"
    return told


def _before(line: Line, record: JobRecord) -> int:
    """Jobs of the same tenant that bid alike and are before this one; `_COUNTED` stands for any more."""
    return next((place for place, other in enumerate(islice(line, _COUNTED)) if other is record), _COUNTED)


def _waiting(core: Core, record: JobRecord, now: Now) -> Explanation:
    if core.held.holds(record.job_id):
        sources = core.held.sources(record.job_id)
        return Explanation(status="queued", summary=core.held.reason(record.job_id), waits_for=sources)
    pause_s = record.not_before - now.mono
    if pause_s > 0:
        return Explanation(status="queued", summary=f"pauses {pause_s:.1f} s more after a failed attempt")
    if not core.fleet.agents:
        return Explanation(status="queued", summary="no agent is connected")
    group = core.queue.group_of(record.group_key())
    line = group.lines.get(record.job_class.tenant) if group is not None else None
    reasons: list[Reason] = []
    is_asked = False
    for agent_id, view in sorted(core.fleet.agents.items()):
        # What an agent said last holds only while it is asked.
        shut = core.fleet.obstacles(view, record.group_key(), now.mono)
        is_asked = is_asked or not shut
        reasons += shut or (group.reasons.get(agent_id, []) if group is not None else [])
        reasons += _quarantines(view, record, reasons)
    if reasons and all(reason.code == DeclineCode.DRAINING for reason in reasons):
        summary = "every agent drains and takes nothing new; it waits for one that bids again, or for another"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if reasons and all(reason.code == DeclineCode.LICENCE for reason in reasons):
        summary = "it is for commercial use, and no adapter of the present fleet says that its licence allows that"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if group is not None and group.unschedulable:
        summary = "no agent of the present fleet could ever take it; it waits for a bigger or another one"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if line is not None and line.flow.account.at_limit:
        running = f"{line.flow.account.running} jobs out on agents, as many as it may (max_running)"
        summary = f"its tenant {record.job_class.tenant} has {running}"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if not is_asked and any(reason.code == DeclineCode.BENCHED for reason in reasons):
        summary = "what could take it is paused after failures in a row"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if group is not None and group.plan is not None:
        told = Explanation(status="queued", summary=group.plan, reasons=reasons)
        return _with_cost(told, record, group.expected)
    before = _before(line, record) if line is not None else 0
    few = {0: "no job like it is ahead", 1: "1 job like it is ahead"}
    ahead = few.get(before, f"{before}{' or more' if before == _COUNTED else ''} jobs like it are ahead")
    if reasons:
        summary = f"waits for room; {ahead}"
    elif not core.may_award:
        summary = "the coordinator is taking over and awards nothing yet"
    else:
        summary = f"waits for its turn; {ahead}"
    return Explanation(status="queued", summary=summary, reasons=reasons)


def _quarantines(view: AgentView, record: JobRecord, told: list[Reason]) -> list[Reason]:
    """Devices in quarantine that could serve the job and are not among the reasons yet: their agent bids for others."""
    known = {(reason.agent_id, reason.device) for reason in told}
    kinds = {kind for offer in view.serving(record.group_key()) for kind in offer.devices}
    code = DeclineCode.QUARANTINED.value
    return [
        Reason(agent_id=view.agent_id, device=device.id, code=code, message=device.quarantine)
        for device in view.advert.devices
        if device.quarantine is not None and device.kind in kinds and (view.agent_id, device.id) not in known
    ]


def features(core: Core) -> list[FeatureInfo]:
    """Every feature of the table and of the fleet, with who serves it."""
    adapters: dict[str, dict[str, FeatureAdapter]] = {}
    for view in core.fleet.agents.values():
        for offer in view.adapters.values():
            serving = adapters.setdefault(offer.feature, {})
            former = serving.get(offer.adapter_id)
            variants = {each.name: each for each in [*(former.variants if former else ()), *offer.variants]}
            shown = offer if former is None or (offer.available and not former.available) else former
            serving[offer.adapter_id] = FeatureAdapter(
                adapter_id=offer.adapter_id,
                parameters=shown.parameters,
                available=shown.available,
                variants=best_first(variants.values()),
            )
    names = {feature.name for feature in KNOWN_FEATURES} | core.fleet.features | set(adapters)
    return [
        FeatureInfo(
            feature=name,
            required=["|".join(alternatives) for alternatives in required_inputs(name)],
            adapters=sorted(adapters.get(name, {}).values(), key=lambda a: a.adapter_id),
        )
        for name in sorted(names)
    ]
