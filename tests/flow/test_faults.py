"""A few runs under faults, each short enough to be tried at every change; `tests/simulation` has hundreds."""

from __future__ import annotations

import pytest

from pocket3d.ops.simulation.run import describe_failure, run_seed
from pocket3d.ops.simulation.shapes import shape_of


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_every_job_has_one_end(seed: int) -> None:
    outcome = run_seed(seed, shape_of(seed))
    assert not outcome.wrong, describe_failure(outcome)
    assert sum(outcome.results.values()) == len(outcome.attempts), "one result for each job"
