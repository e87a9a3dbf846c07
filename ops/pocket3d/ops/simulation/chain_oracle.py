"""What must be true of chains and groups at the end of a run, judged from what the server stored."""

from __future__ import annotations

from collections import Counter

from pocket3d.bus.port import Stored
from pocket3d.contracts.chain_messages import CHAIN_TERMINAL, ChainStatus, GroupJobStatus, StepStatus
from pocket3d.contracts.chains import MAX_ROUNDS, job_id_of, plan
from pocket3d.contracts.messages import Result
from pocket3d.coordinator.chains.record import ANOTHER_REQUEST, ChainKey
from pocket3d.coordinator.chains.story import read_request, read_status

from .world import World


def _stories(world: World) -> dict[ChainKey, list[Stored]]:
    found: dict[ChainKey, list[Stored]] = {}
    for stored in world.server.stream(world.subjects.chains_stream).messages.values():
        where = world.subjects.parse_chain(stored.subject)
        found.setdefault(ChainKey(where.kind, where.name), []).append(stored)
    return found


def jobs_of_chains(world: World) -> set[str]:
    """The ids that jobs of chains and groups may have."""
    planned = [
        step
        for key, story in _stories(world).items()
        if story[0].subject.endswith(".submitted")
        for step in plan(read_request(key, story[0].data))
    ]
    return {job_id_of(step.first_id, number) for step in planned for number in range(1, MAX_ROUNDS + 1)}


def chain_violations(world: World, results: dict[str, list[Result]]) -> list[str]:
    """Every chain that was taken ends, once in each round, as its jobs did; and no job of it runs on."""
    stories = _stories(world)
    found = [f"{key.kind} {key.name} was taken, and is not stored" for key in world.accepted_chains - stories.keys()]
    for key, story in stories.items():
        name = f"{key.kind} {key.name}"
        words = [world.subjects.parse_chain(each.subject).event for each in story]
        if words[0] != "submitted" or words.count("submitted") != 1:
            found.append(f"{name}: its story is {words}")
            continue
        ends = Counter(word in CHAIN_TERMINAL for word in words)[True]
        if ends != 1 + words.count("retried") or words[-1] not in CHAIN_TERMINAL:
            found.append(f"{name}: its story is {words}")
            continue
        status = read_status(key, story[-1].data)
        steps: list[StepStatus] | list[GroupJobStatus] = (
            status.steps if isinstance(status, ChainStatus) else status.jobs
        )
        asked = plan(read_request(key, story[0].data))
        if len({step.job_id for step in steps}) != len(asked):
            found.append(f"{name}: its end names {[step.job_id for step in steps]}")
        if status.status != words[-1]:
            found.append(f"{name}: its last event is {words[-1]}, and says {status.status}")
        for step in steps:
            if isinstance(step, StepStatus) and step.error is not None and ANOTHER_REQUEST in step.error.message:
                continue
            ended = [_word(each) for each in results.get(step.job_id, [])]
            # What never started has no job; of one that was removed before anybody read it nothing is known.
            if ended != [step.status] and not (not ended and step.status in ("cancelled", "failed")):
                found.append(f"{name}: the step of {step.job_id} is {step.status}, its job has {ended}")
        if isinstance(status, ChainStatus) and status.status == "succeeded":
            found += [f"{name}: {step.job_id} has no files" for step in status.steps if not step.artifacts]
    return found


def _word(result: Result) -> str:
    return result.status if result.status in ("succeeded", "cancelled") else "failed"
