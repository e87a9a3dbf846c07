"""Hundreds of seeds of faults: no job lost, one end each, no over-commit, everything comes to rest, every row taken."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

import pytest

from pocket3d.ops.simulation.run import Summary, describe_failure, run_seed, run_seeds, untaken
from pocket3d.ops.simulation.shapes import shape_of

#: They share one run of all seeds: in one process.
pytestmark = pytest.mark.xdist_group("seeds")

#: More of them: POCKET3D_SIMULATION_SEEDS=5000 pytest tests/simulation
SEEDS = int(os.environ.get("POCKET3D_SIMULATION_SEEDS", "200"))


#: So many more are run for rows that these do not take.
MORE = 150
#: Seeds of one test: all of them take longer than a test may on a machine that does other work.
PART = 20


#: First seed of a part -> files that it left open.
left_open: dict[int, int] = {}


def _open_files() -> int:
    """Of this process; 0 where the system does not tell."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) if sys.platform == "linux" else 0


@cache
def part(first: int) -> Summary:
    before = _open_files()
    found = run_seeds(range(first, min(first + PART, SEEDS)))
    left_open[first] = _open_files() - before
    return found


def parts() -> list[Summary]:
    return [part(first) for first in range(0, SEEDS, PART)]


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_every_seed_comes_to_rest_with_one_end_for_every_job(first: int) -> None:
    found = part(first)
    assert not found.failed, "\n\n".join(describe_failure(outcome) for outcome in found.failed)
    assert found.runs == min(PART, SEEDS - first)


def test_jobs_end_in_every_way() -> None:
    assert set().union(*(each.results for each in parts())) == {
        "succeeded",
        "failed",
        "cancelled",
        "expired",
        "rejected",
    }


def test_every_row_of_the_tables_is_taken() -> None:
    missing = set.intersection(*(set(untaken(each)) for each in parts()))
    # A change of the system gives each seed another run, and some rows are rare.
    for seed in range(SEEDS, SEEDS + MORE):
        if not missing:
            break
        outcome = run_seed(seed, shape_of(seed))
        assert not outcome.wrong, describe_failure(outcome)
        missing -= {row for row, count in outcome.rows.items() if count}
    assert missing == set()


def test_faults_strike_jobs_in_every_state() -> None:
    struck = {state for each in parts() for (_, state), count in each.struck.items() if count}
    assert {"submitted", "recovering", "queued", "awarded", "running", "finishing", "finished"} <= struck


def test_a_seed_gives_the_same_run_again() -> None:
    first, again = run_seed(4, shape_of(4)), run_seed(4, shape_of(4))
    assert (first.seconds, first.results, first.rows, first.attempts) == (
        again.seconds,
        again.results,
        again.rows,
        again.attempts,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files by /proc")
def test_runs_leave_no_file_open() -> None:
    assert sum(each.faults["agent crash"] for each in parts()) > 0
    # One may be what a process opens once.
    assert sum(left_open.values()) <= 1, "ten thousand runs would run out of files"


def test_a_failing_seed_says_how_to_repeat_it() -> None:
    outcome = run_seed(4, shape_of(4), prepare=lambda world: world.accepted.add("job-that-nobody-published"))
    text = describe_failure(outcome)
    assert "job-that-nobody-published has 0 results" in text
    assert "repeat it: python -m pocket3d.ops.simulation --seed 4" in text
