"""What nothing refers to any more in the stores of a run."""

from __future__ import annotations

from collections import Counter

from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.port import Stored
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import read_result
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.chains.record import ChainKey
from pocket3d.coordinator.chains.story import unfinished


def orphans(server: MemoryServer, subjects: Subjects) -> list[str]:
    """Outputs that no result names, and uploads that were broken off."""
    results = [(subjects.parse_story(each.subject).job_id, each.data) for each in _results(server, subjects)]
    named = {artifact.object for job_id, data in results for artifact in read_result(data, job_id).artifacts}
    left = sorted(server.bucket(subjects.outputs_bucket).keys() - named)
    return left + [upload for bucket in server.half_uploads.values() for upload in bucket]


def stories_without_end(server: MemoryServer, subjects: Subjects) -> set[str]:
    """Jobs whose last event is none that ends them: a leader that has read the streams ends them as well."""
    last: dict[str, str] = {}
    for stored in server.stream(subjects.events_stream).messages.values():
        if stored.subject != subjects.leader_record():
            story = subjects.parse_story(stored.subject)
            last[story.job_id] = story.event or ""
    return {job_id for job_id, event in last.items() if event not in TERMINAL}


def chains_without_end(server: MemoryServer, subjects: Subjects) -> list[ChainKey]:
    """Chains and groups that have not ended."""
    counts = Counter(each.subject for each in server.stream(subjects.chains_stream).messages.values())
    return unfinished(counts, subjects)


def _results(server: MemoryServer, subjects: Subjects) -> list[Stored]:
    return list(server.stream(subjects.results_stream).messages.values())
