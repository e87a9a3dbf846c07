"""What must be true at the end of a run of jobs that name files of other jobs."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.messages import Result

from .workload import SOURCE_KEY
from .world import World


def references_kept(world: World, results: dict[str, list[Result]]) -> list[str]:
    """A job that succeeded had the very file of a source that succeeded, and none is told to lack a source without
    reason.
    """
    found = _cached(world, results)
    ended_at = {
        world.subjects.parse_story(each.subject).job_id: each.time
        for each in world.server.stream(world.subjects.results_stream).messages.values()
    }
    begun_at: dict[str, float] = {}
    for each in world.server.stream(world.subjects.events_stream).messages.values():
        if each.subject != world.subjects.leader_record():
            begun_at.setdefault(world.subjects.parse_story(each.subject).job_id, each.time)
    for job_id, source in _sources(world).items():
        for result in results.get(job_id, []):
            made = results.get(source, [])
            made_it = bool(made) and made[-1].status == "succeeded"
            code = result.error.code if result.error is not None else None
            if result.status == "succeeded" and result.cached_from is None:
                given = world.inputs.get(job_id, {}).get(SOURCE_KEY)
                if not made_it or given != _token(made[-1], results).encode():
                    found.append(f"{job_id} ran with {given!r}, which is not what {source} made")
            if code == FailureCode.INPUT_FAILED.value and (not made or made_it):
                found.append(f"{job_id} failed for {source}, which did not fail")
            elif code == FailureCode.ARTIFACT_MISSING.value and result.error is not None:
                ended_before = source in ended_at and ended_at[source] < begun_at.get(job_id, 0.0)
                if "is known" in result.error.message and ended_before:
                    found.append(f"{job_id} did not find {source}, which had ended")
    return found


def _token(made: Result, results: dict[str, list[Result]]) -> str:
    """The attempt whose files a result has: for one that was answered by another job's, that job's."""
    if made.cached_from is not None:
        made = next((each for each in results.get(made.cached_from, []) if each.status == "succeeded"), made)
    return made.token or ""


def _cached(world: World, results: dict[str, list[Result]]) -> list[str]:
    """A result that was made by another job is that one's, of the same feature; and it was asked for."""
    found = []
    published = {each.job_id for each in world.workload.publications}
    asked = {each.job_id for each in world.workload.publications if b'"cache":true' in each.data}
    for job_id, of_job in results.items():
        for result in of_job:
            if result.cached_from is None:
                continue
            made = [each for each in results.get(result.cached_from, []) if each.status == "succeeded"]
            same = [each for each in made if (each.outputs, each.artifacts) == (result.outputs, result.artifacts)]
            if not same or same[0].feature != result.feature or same[0].cached_from is not None:
                found.append(f"{job_id} has not the result of {result.cached_from}, by which it was made")
            if job_id in published - asked:
                found.append(f"{job_id} was answered from {result.cached_from}, and did not ask for that")
    return found


def _sources(world: World) -> dict[str, str]:
    """The job that each of those names which were published once and name one."""
    published = Counter(each.job_id for each in world.workload.publications)
    found = {}
    for each in world.workload.publications:
        request: Any = None
        with suppress(msgspec.DecodeError):
            request = msgspec.json.decode(each.data)
        named = request.get("inputs", {}).get(SOURCE_KEY) if isinstance(request, dict) else None
        if named is not None and published[each.job_id] == 1:
            found[each.job_id] = str(named["result"])
    return found
