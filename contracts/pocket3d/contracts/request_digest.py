"""What makes two requests the same."""

from __future__ import annotations

import hashlib

import msgspec

from .codec import encode
from .jobs import Job

#: Header of a job's first event: digest of the request, by which a second submit of its id is judged.
REQUEST_DIGEST_HEADER = "P3d-Request"


def request_digest(job: Job) -> str:
    """SHA-256 of everything but the id under which the request is known, hex."""
    return hashlib.sha256(encode(msgspec.structs.replace(job, job_id=None))).hexdigest()
