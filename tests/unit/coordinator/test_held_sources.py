"""For whom jobs are held, on values: rings, and sources that nobody waits for or knows."""

from __future__ import annotations

from pocket3d.contracts.input_files import FileRef
from pocket3d.coordinator.engine.held_jobs import HeldJobs


def holding(**sources: str) -> HeldJobs:
    """Each of these jobs is held for the one that it names."""
    held = HeldJobs()
    for job_id, source in sources.items():
        held.note(
            job_id, [FileRef(key="mesh_path", index=None, artifact=None, data=None, filename=None, result=source)]
        )
        held.hold(job_id, "default")
    return held


def test_a_job_behind_a_ring_of_others_is_in_none_itself() -> None:
    held = holding(a="b", b="c", c="d", d="c")
    assert [held.in_ring(job_id) for job_id in "abcd"] == [None, None, "d", "c"]


def test_a_source_that_nobody_waits_for_any_more_is_not_looked_for() -> None:
    held = holding(a="x", b="x")
    held.unknown.set("x", 5.0)
    held.last_look.add("x")
    assert held.leave("a")
    assert (list(held.unknown.jobs()), held.last_look) == (["x"], {"x"})
    assert held.leave("b") and not held.leave("b")
    assert (list(held.unknown.jobs()), held.last_look, held.awaited("x"), len(held)) == ([], set(), False, 0)


def test_a_source_that_was_read_is_unknown_no_more() -> None:
    held = holding(a="x", b="y")
    for source in "xy":
        held.unknown.set(source, 5.0)
        held.last_look.add(source)
    held.appeared("x")
    assert (list(held.unknown.jobs()), held.last_look) == (["y"], {"y"})
    assert held.waiting_for("x") == ["a"]
