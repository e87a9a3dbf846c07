"""What the streams hold of a job, as the engine takes it in. Anybody may publish there, and a later version may write
what this one cannot read: bytes that make no sense are a case, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.messages import JOB_SEQ_HEADER, Status, read_result
from pocket3d.contracts.subjects import JOB_ID_PATTERN

from .events import LastEventRead, ResultSeen, ResultUnreadable

#: Header: a batch's own name, by which a batch whose answer was lost is recognised.
BATCH_HEADER = "P3d-Batch"
#: Of the feature in the subjects of a job's story: it may come from a subject that anybody chose, and is cut there.
FEATURE_CHARS = 64


def read_last_event(job_id: str, subject: str, data: bytes, headers: Mapping[str, str]) -> LastEventRead:
    """The last event of a job, stored on `subject`: it can be read only if its body names the job and the feature that
    the subject names, for the next event of the job is stored on a subject made of what the body says.
    """
    job_seq = decimal(headers.get(JOB_SEQ_HEADER, ""))
    try:
        status = decode(Status, data)
    except WireError:
        return LastEventRead(job_id, None, job_seq, unreadable=True)
    if status.job_id != job_id or not _names_its_subject(status, subject):
        return LastEventRead(job_id, None, job_seq, unreadable=True)
    return LastEventRead(job_id, status, job_seq)


def _names_its_subject(status: Status, subject: str) -> bool:
    if len(status.feature) > FEATURE_CHARS or not JOB_ID_PATTERN.fullmatch(status.job_id):
        return False
    return subject.split(".")[-3:-1] == [status.feature, status.job_id]


def read_stored_result(job_id: str, subject: str, seq: int, data: bytes) -> ResultSeen | ResultUnreadable:
    """What the results stream holds at `seq`."""
    try:
        return ResultSeen(read_result(data, job_id), seq)
    except WireError as error:
        return ResultUnreadable(job_id, subject, seq, str(error))
