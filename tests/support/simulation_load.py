"""Runs in which nothing goes wrong but what a scenario does."""

from __future__ import annotations

import msgspec

from pocket3d.contracts.codec import encode
from pocket3d.ops.simulation.shapes import CALM, RunShape
from pocket3d.ops.simulation.workload import Workload
from pocket3d.ops.simulation.world import World

#: Good jobs and nothing that goes wrong by itself.
PLAIN = RunShape(jobs=40, publish_over_s=8.0, plain=True, faults=CALM)
#: More of them than the fleet can run at once.
LOADED = msgspec.structs.replace(PLAIN, jobs=120)


def limited(world: World, seconds: float) -> None:
    """Every job is to start within so many seconds of its queueing."""
    publications = []
    for publication in world.workload.publications:
        request = msgspec.json.decode(publication.data)
        request["limits"]["schedule_to_start_s"] = seconds
        publications.append(publication._replace(data=encode(request)))
    world.workload = Workload(publications, [])


def pause_the_leader(world: World) -> None:
    """SIGSTOP for 60 s, in the middle of the load; waiting jobs may wait for less than that."""
    limited(world, 45.0)

    def pause() -> None:
        leaders = [each for each in world.coordinators if each.leading]
        assert len(leaders) == 1
        assert world.states()["running"] >= 2
        assert world.states()["queued"] >= 5
        leaders[0].pause(60.0)

    world.network.later(6.0, pause)
