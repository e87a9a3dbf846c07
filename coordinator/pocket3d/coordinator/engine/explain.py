"""Why a job is not running, in codes and in words."""

from __future__ import annotations

from pocket3d.contracts.api import Explanation, FeatureAdapter, FeatureInfo
from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.features import KNOWN_FEATURES, required_inputs
from pocket3d.contracts.lifecycle import JobState

from .job import JobRecord
from .state import Core


def explain(core: Core, record: JobRecord, now: Now) -> Explanation:
    """The state of an unfinished job and what it waits for."""
    state = record.state
    if state in (JobState.AWARDED, JobState.RUNNING) and record.attempt is not None:
        attempt = record.attempt
        place = f"{attempt.agent_id}/{attempt.device} with {attempt.adapter_id}"
        word = "was awarded to" if state is JobState.AWARDED else "runs on"
        return Explanation(status=state.value, summary=f"{word} {place}, attempt {attempt.number}")
    if state in (JobState.FINISHING, JobState.FINISHED):
        return Explanation(status="finishing", summary="its result is being stored")
    if state is JobState.RECOVERING:
        return Explanation(status="queued", summary="a new leader asks the agents whether one of them runs it")
    if state is JobState.SUBMITTED:
        return Explanation(status="submitted", summary="it has just been read")
    return _waiting(core, record, now)


def _waiting(core: Core, record: JobRecord, now: Now) -> Explanation:
    pause_s = record.not_before - now.mono
    if pause_s > 0:
        return Explanation(status="queued", summary=f"pauses {pause_s:.1f} s more after a failed attempt")
    if not core.fleet.agents:
        return Explanation(status="queued", summary="no agent is connected")
    group = core.queue.group_of(record.group_key())
    reasons: list[Reason] = []
    for agent_id, view in sorted(core.fleet.agents.items()):
        known = group.reasons.get(agent_id) if group is not None else None
        reasons += known or core.fleet.obstacles(view, record.group_key(), now.mono)
    if reasons and all(reason.code == DeclineCode.DRAINING for reason in reasons):
        summary = "every agent drains and takes nothing new; it waits for one that bids again, or for another"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if group is not None and group.unschedulable:
        summary = "no agent of the present fleet could ever take it; it waits for a bigger or another one"
        return Explanation(status="queued", summary=summary, reasons=reasons)
    if group is not None and group.plan is not None:
        return Explanation(status="queued", summary=group.plan, reasons=reasons)
    ahead = 0
    if group is not None:
        for other in group:
            if other is record:
                break
            ahead += 1
    if reasons:
        summary = f"waits for room; {ahead} like it are ahead"
    elif not core.may_award:
        summary = "the coordinator is taking over and awards nothing yet"
    else:
        summary = f"waits for its turn; {ahead} like it are ahead"
    return Explanation(status="queued", summary=summary, reasons=reasons)


def features(core: Core) -> list[FeatureInfo]:
    """Every feature of the table and of the fleet, with who serves it."""
    adapters: dict[str, dict[str, FeatureAdapter]] = {}
    for view in core.fleet.agents.values():
        for offer in view.adapters.values():
            serving = adapters.setdefault(offer.feature, {})
            former = serving.get(offer.adapter_id)
            if former is None or (offer.available and not former.available):
                serving[offer.adapter_id] = FeatureAdapter(
                    adapter_id=offer.adapter_id, parameters=offer.parameters, available=offer.available
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
