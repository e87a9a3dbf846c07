"""The results stream as it was before results were proposed, and its switch on a memory server."""

from __future__ import annotations

import dataclasses

from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.topology import StreamSpec, build
from pocket3d.contracts.subjects import Subjects


def results(subjects: Subjects) -> StreamSpec:
    """The results stream as it is to be."""
    return next(spec for spec in build(subjects).streams if spec.name == subjects.results_stream)


def former(subjects: Subjects) -> StreamSpec:
    """As it was: what is published is heard by core subscribers, and stored if the expectation holds."""
    return dataclasses.replace(
        results(subjects),
        subjects=(subjects.all_results(),),
        transform=None,
        republish=None,
        discard="old",
        max_msgs_per_subject=-1,
        discard_new_per_subject=False,
    )


def switch(server: MemoryServer, subjects: Subjects) -> None:
    """As `pocket3d topology --switch-results` does it on a real one."""
    server.streams[subjects.results_stream].config = results(subjects).config()
    server._owners.clear()
