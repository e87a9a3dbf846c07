"""What must be true of a run at its end, judged from what the server stored and what workers held."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec

from pocket3d.bus.port import Stored
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Result, Status
from pocket3d.coordinator.engine.admission import REMOVED

from .chain_oracle import chain_violations, jobs_of_chains
from .network import WALL_AT_START
from .reference_oracle import references_kept
from .world import World

#: Failed loads on a sick device: three until it is put away, what was on its way to it, and one after each pause; that
#: again, since leaders and agents that come back have forgotten.
_MOST_ON_SICK = 20
#: Endings after which the request is kept as a dead letter.
_DEAD = frozenset({"failed", "rejected", "expired"})


def results_of(world: World) -> dict[str, list[Result]]:
    """The results that the server admitted, by job."""
    found: dict[str, list[Result]] = {}
    for stored in _stored(world, world.subjects.results_stream):
        result = decode(Result, stored.data)
        found.setdefault(result.job_id, []).append(result)
    return found


def _stored(world: World, stream: str) -> list[Stored]:
    return list(world.server.stream(stream).messages.values())


def violations(world: World) -> list[str]:
    """What is wrong, in words; empty if nothing is."""
    found = []
    try:
        results = results_of(world)
    except WireError as error:
        return [f"the results stream holds what is no result: {error}"]
    of_chains = jobs_of_chains(world)
    named = {job_id for job_id in world.accepted if not job_id.startswith("seq")}
    told = {world.subjects.parse_story(each.subject) for each in _events(world)}
    queued = {story.job_id for story in told if story.event != "rejected"}
    for job_id in sorted(named):
        count = len(results.get(job_id, []))
        # Of a message that was removed before anybody had read it nothing is known; and of one that was rejected no
        # more than that, where its leader was killed before the result followed.
        if count != 1 and not (count == 0 and job_id in world.removed and job_id not in queued):
            found.append(f"{job_id} has {count} results")
    generated = [job_id for job_id in results if job_id not in named and job_id not in of_chains]
    nameless = {job_id for job_id in world.accepted if job_id.startswith("seq")}
    if not len(nameless - world.removed) <= len(generated) <= len(nameless):
        found.append(f"{len(nameless)} messages without a usable id have {len(generated)} results")
    found += _removals(world, results)
    left = _stored(world, world.subjects.jobs_stream)
    if left:
        found.append(f"the jobs stream still holds {[message.seq for message in left]}")
    found += [d.over_committed for a in world.agents for d in a.devices.values() if d.over_committed is not None]
    found += _stories(world, results)
    found += _hearsay(world, results)
    found += _black_hole(world)
    found += _variants(world, results)
    found += _sick_devices(world)
    found += chain_violations(world, results)
    found += references_kept(world, results)
    if world.listener.heard != [(each.subject, each.data) for each in _stored(world, world.subjects.results_stream)]:
        found.append("a core subscriber heard other results than those that are stored, each once")
    dead = {world.subjects.parse_story(each.subject).job_id for each in _stored(world, world.subjects.dead_stream)}
    artifacts = world.server.bucket(world.subjects.outputs_bucket)
    for job_id, of_job in results.items():
        for result in of_job:
            missing = [each.object for each in result.artifacts if each.object not in artifacts]
            if missing:
                found.append(f"{job_id}: the artifacts of its result are gone: {missing}")
            # A dead letter holds the request: there is none where it was removed before.
            if result.status in _DEAD and job_id not in dead and not _removed(world, job_id):
                found.append(f"{job_id} {result.status} without a dead letter")
    return found


def _black_hole(world: World) -> list[str]:
    """An agent that cannot store gets no job: it would run it to the end, and keep what it made."""
    found = []
    until = WALL_AT_START + world.shape.faults.until_s
    for stored in _stored(world, world.subjects.events_stream) if world.shape.leaf else ():
        if stored.time < until and stored.subject != world.subjects.leader_record():
            status = decode(Status, stored.data)
            if status.agent_id == world.agents[0].agent_id:
                found.append(f"{status.job_id} was given to {status.agent_id}, which cannot store")
    return found


def _variants(world: World, results: dict[str, list[Result]]) -> list[str]:
    """A job succeeds in a variant that the adapter has and, where it names one, in no other; and in none that is too
    small for it.
    """
    asked: dict[str, list[Any]] = {}
    for each in world.workload.publications:
        with suppress(msgspec.DecodeError):
            asked.setdefault(each.job_id, []).append(msgspec.json.decode(each.data))
    found = []
    for job_id, of_job in results.items():
        adapter = world.adapters.get(of_job[-1].adapter_id or "")
        if of_job[-1].status != "succeeded" or adapter is None:
            continue
        variant = of_job[-1].variant
        known: list[str | None] = [each.name for each in adapter.variants] or [None]
        fits = [
            request.get("variant") in (None, variant) and variant not in request["inputs"].get("too_large", ())
            for request in asked.get(job_id, [])
        ]
        if variant not in known or (fits and not any(fits)):
            found.append(f"{job_id} ran in the variant {variant!r} of {adapter.adapter_id}, which has {known}")
    return found


def _sick_devices(world: World) -> list[str]:
    """On a device on which every load fails some jobs are tried, not each that comes."""
    tried = Counter(device for _, _, device in failed_on_sick(world))
    return [
        f"{count} jobs failed on {device}, which is sick" for device, count in tried.items() if count > _MOST_ON_SICK
    ]


def failed_on_sick(world: World) -> set[tuple[str, int, str]]:
    """Job, attempt and device of each attempt whose load failed on a device that fell sick."""
    found = set()
    for stored in _events(world) if world.sick else ():
        error = decode(Status, stored.data).error
        for failure in error.attempts if error is not None else ():
            if failure.device in world.sick and failure.code == FailureCode.LOAD_FAILED.value:
                found.add((stored.subject.rpartition(".")[0], failure.attempt, failure.device))
    return found


def _hearsay(world: World, results: dict[str, list[Result]]) -> list[str]:
    """Attempts are told to have failed only as their own agents said, or as lost."""
    found = []
    for job_id, of_job in results.items():
        for failure in of_job[-1].error.attempts if of_job[-1].error else []:
            one = (job_id, failure.attempt, failure.agent_id or "", failure.code)
            if one not in world.said and failure.code != FailureCode.AGENT_LOST.value:
                found.append(f"{job_id}: nobody said that attempt {failure.attempt} failed like this: {failure}")
    return found


def _removed(world: World, job_id: str) -> bool:
    return bool({job_id, f"seq{job_id.rpartition('-')[2]}"} & world.removed)


def _removals(world: World, results: dict[str, list[Result]]) -> list[str]:
    """Only jobs whose message was removed end for that reason."""
    return [
        f"{job_id} was ended as removed, and nobody removed it"
        for job_id, of_job in results.items()
        for result in of_job
        if result.error is not None and result.error.message == REMOVED
        if not _removed(world, job_id)
    ]


def _events(world: World) -> list[Stored]:
    leader = world.subjects.leader_record()
    return [each for each in _stored(world, world.subjects.events_stream) if each.subject != leader]


def _stories(world: World, results: dict[str, list[Result]]) -> list[str]:
    found = []
    ends: Counter[str] = Counter()
    last: dict[str, str] = {}
    first: dict[str, str] = {}
    for stored in _events(world):
        where = world.subjects.parse_story(stored.subject)
        job_id, event = where.job_id, where.event or ""
        first.setdefault(job_id, event)
        if last.get(job_id) in TERMINAL:
            found.append(f"{job_id}: {event} after its story ended with {last[job_id]}")
        last[job_id] = event
        ends[job_id] += event in TERMINAL
    found += [f"{job_id}: its story has no end" for job_id in first if not ends[job_id] and job_id not in results]
    for job_id, of_job in results.items():
        if ends[job_id] != 1:
            found.append(f"{job_id} has {ends[job_id]} terminal events")
        if last.get(job_id) != of_job[-1].status:
            found.append(f"{job_id}: status {last.get(job_id)}, result {of_job[-1].status}")
        if first.get(job_id) not in ("queued", "rejected"):
            found.append(f"{job_id}: its story begins with {first.get(job_id)}")
    return found
