"""Storing first events: each expects none of its id."""

from __future__ import annotations

import structlog

from pocket3d.bus.port import Append, Bus, BusError, Conflict, Expect, OutcomeUnknown
from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import JOB_SEQ_HEADER
from pocket3d.contracts.subjects import Subjects

from ..engine import events
from ..engine.effects import PublishQueued, PublishQueuedBatch
from ..leadership import bus_answers
from ..leadership.request_fingerprint import REQUEST_DIGEST_HEADER
from ..leadership.term_engine import TermEffect, TermEvent
from .step_log import log_queued

log = structlog.get_logger(__name__)


def failed(effect: TermEffect, error: BusError) -> bus_answers.EffectFailed:
    """The event for an effect that could not be carried out, or whose answer was lost."""
    log.debug("again in a moment", effect=type(effect).__name__, error=str(error))
    return bus_answers.EffectFailed(effect, str(error))


def _message(subjects: Subjects, effect: PublishQueued) -> Append:
    status = effect.status
    headers = {JOB_SEQ_HEADER: str(effect.job_seq)}
    if effect.digest:
        headers[REQUEST_DIGEST_HEADER] = effect.digest
    subject = subjects.event(status.feature, status.job_id, status.status)
    return Append(subject, encode(status), headers, Expect(0, subjects.events_of(status.job_id)))


async def publish_queued(bus: Bus, subjects: Subjects, effect: PublishQueued) -> TermEvent:
    """Store one first event; what came of it."""
    status = effect.status
    subject, data, headers, expect = _message(subjects, effect)
    try:
        await bus.append(subject, data, headers=headers, expect=expect)
    except Conflict:
        return events.QueuedConflict(status.job_id)
    except OutcomeUnknown:
        return events.QueuedUnknown(status.job_id)
    except BusError as error:
        return failed(effect, error)
    log_queued(status)
    return events.QueuedStored(status.job_id)


async def publish_queued_batch(bus: Bus, subjects: Subjects, effect: PublishQueuedBatch) -> TermEvent:
    """Store first events, all or none; what came of them."""
    try:
        await bus.append_batch([_message(subjects, each) for each in effect.first_events])
    except Conflict:
        return bus_answers.QueuedBatchConflict(effect)
    except OutcomeUnknown:
        return bus_answers.QueuedBatchUnknown(effect)
    except BusError as error:
        return failed(effect, error)
    for each in effect.first_events:
        log_queued(each.status)
    return bus_answers.QueuedBatchStored(effect)
