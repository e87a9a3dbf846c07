"""What nothing refers to any more in the stores of a run."""

from __future__ import annotations

from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Stored
from pocket3d.contracts.messages import read_result
from pocket3d.contracts.subjects import Subjects


def orphans(server: MemoryServer, subjects: Subjects) -> list[str]:
    """Outputs that no result names, and uploads that were broken off."""
    results = [(subjects.parse_story(each.subject).job_id, each.data) for each in _results(server, subjects)]
    named = {artifact.object for job_id, data in results for artifact in read_result(data, job_id).artifacts}
    left = sorted(server.bucket(subjects.outputs_bucket).keys() - named)
    return left + [upload for bucket in server.half_uploads.values() for upload in bucket]


def _results(server: MemoryServer, subjects: Subjects) -> list[Stored]:
    return list(server.stream(subjects.results_stream).messages.values())
