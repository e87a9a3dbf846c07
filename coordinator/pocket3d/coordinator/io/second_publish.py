"""A message under a known job id that asks for something else: it is not run, and its producer is told so.

A publish is acknowledged by the stream before anybody reads it, so nobody can answer 409 as `p3d.api.submit` does. The
log has a warning, and the message becomes a dead letter under an id of its own.
"""

from __future__ import annotations

import structlog

from pocket3d.bus.port import Bus, BusError, Conflict, Expect
from pocket3d.contracts.clock import rfc3339
from pocket3d.contracts.codec import encode
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import generated_id
from pocket3d.contracts.messages import JobError
from pocket3d.contracts.subjects import Subjects

from ..engine.effects import AckJob, PublishDead
from ..leadership.request_cache import dead_letter, read_request
from ..leadership.request_fingerprint import REQUEST_DIGEST_HEADER, request_digest

log = structlog.get_logger(__name__)


async def tell_if_another(bus: Bus, subjects: Subjects, ack: AckJob) -> None:
    """Compare a message that is about to be taken off the stream with the job whose id it has.

    Nothing is told where the server does not answer: the message has no effect either way.
    """
    try:
        message = await bus.get(subjects.jobs_stream, ack.seq)
        if message is None:
            return
        first = await bus.pages(subjects.events_stream, subjects.events_of(ack.second_of), start=1, limit=1)
        job = read_request(message.data).job
        digest = first[0].headers.get(REQUEST_DIGEST_HEADER) if first else None
        # Without one nothing is known of the first request: it is no job, was not at hand, or its event is old.
        if digest is None or (job is not None and digest == request_digest(job)):
            return
        where = subjects.parse_job(message.subject)
        own_id = generated_id(await bus.stream_created(subjects.jobs_stream), ack.seq)
        text = f"job {ack.second_of} is known with another request, so this one is not run; take a new job_id"
        log.warning("a request was not run", job_id=ack.second_of, why=text, seq=ack.seq, dead_letter=own_id)
        error = JobError(code=FailureCode.INVALID_INPUT.value, message=text, field="job_id")
        letter = dead_letter(
            PublishDead(own_id, where.feature, ack.priority, ack.seq, error), message.data, rfc3339(message.time)
        )
        await bus.append(subjects.dead(where.feature, own_id), encode(letter), expect=Expect(0))
    except Conflict:
        log.debug("the dead letter is stored already", job_id=ack.second_of, seq=ack.seq)
    except BusError as error:
        log.debug("a second publish was not compared", job_id=ack.second_of, seq=ack.seq, error=str(error))
