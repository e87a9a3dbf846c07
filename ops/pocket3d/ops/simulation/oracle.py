"""What must be true of a run at its end, judged from what the server stored and what workers held."""

from __future__ import annotations

from collections import Counter

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Result

from .world import World

#: Endings after which the request is kept as a dead letter.
_DEAD = frozenset({"failed", "rejected", "expired"})


def violations(world: World) -> list[str]:
    """What is wrong, in words; empty if nothing is."""
    found = []
    results: dict[str, list[Result]] = {}
    for stored in world.server.results.values():
        results.setdefault(stored.result.job_id, []).append(stored.result)
    published = world.server.jobs
    named = {job_id for job_id in world.accepted if not job_id.startswith("seq")}
    for job_id in sorted(named):
        count = len(results.get(job_id, []))
        if count != 1:
            found.append(f"{job_id} has {count} results")
    generated = [job_id for job_id in results if job_id not in named]
    nameless = sum(1 for job_id in world.accepted if job_id.startswith("seq"))
    if len(generated) != nameless:
        found.append(f"{nameless} messages without a usable id have {len(generated)} results")
    if published:
        found.append(f"the jobs stream still holds {sorted(published)}")
    found += _stories(world, results)
    found += _hearsay(world, results)
    for job_id, of_job in results.items():
        for result in of_job:
            missing = [a.object for a in result.artifacts if a.object not in world.server.objects]
            if missing:
                found.append(f"{job_id}: the artifacts of its result are gone: {missing}")
            if result.status in _DEAD and job_id not in world.server.dead:
                found.append(f"{job_id} {result.status} without a dead letter")
    return found


def _hearsay(world: World, results: dict[str, list[Result]]) -> list[str]:
    """Attempts are told to have failed only as their own agents said, or as lost."""
    said = {each for agent in world.agents for each in agent.said}
    found = []
    for job_id, of_job in results.items():
        for failure in of_job[-1].error.attempts if of_job[-1].error else []:
            one = (job_id, failure.attempt, failure.agent_id or "", failure.code)
            if one not in said and failure.code != FailureCode.AGENT_LOST.value:
                found.append(f"{job_id}: nobody said that attempt {failure.attempt} failed like this: {failure}")
    return found


def _stories(world: World, results: dict[str, list[Result]]) -> list[str]:
    found = []
    ends: Counter[str] = Counter()
    last: dict[str, str] = {}
    first: dict[str, str] = {}
    for event in world.server.events:
        first.setdefault(event.job_id, event.event)
        if last.get(event.job_id) in TERMINAL:
            found.append(f"{event.job_id}: {event.event} after its story ended with {last[event.job_id]}")
        last[event.job_id] = event.event
        ends[event.job_id] += event.event in TERMINAL
    for job_id, of_job in results.items():
        if ends[job_id] != 1:
            found.append(f"{job_id} has {ends[job_id]} terminal events")
        if last.get(job_id) != of_job[-1].status:
            found.append(f"{job_id}: status {last.get(job_id)}, result {of_job[-1].status}")
        if first.get(job_id) not in ("queued", "rejected"):
            found.append(f"{job_id}: its story begins with {first.get(job_id)}")
    return found
