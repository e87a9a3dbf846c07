"""The real engines through seeds of random crashes, losses, delays, duplicates and pauses in virtual time.

`POCKET3D_TEST_SEEDS` sets how many; a failing seed names the command that repeats it.
"""

from __future__ import annotations

import os
from collections import Counter

from pocket3d.ops.simulation.run import run_seed

SEEDS = int(os.environ.get("POCKET3D_TEST_SEEDS", "100"))


def test_no_job_is_lost_and_none_ends_twice() -> None:
    struck: Counter[tuple[str, str]] = Counter()
    jobs = 0
    for seed in range(SEEDS):
        outcome = run_seed(seed)
        assert not outcome.wrong, f"{outcome.repeat}\n" + "\n".join([*outcome.wrong, *outcome.story])
        struck.update(outcome.struck)
        jobs += sum(outcome.results.values())
    print(f"{SEEDS} seeds, {jobs} jobs; faults by the state of the jobs that they struck: {dict(struck)}")
    states = {state for _, state in struck}
    assert {"queued", "awarded", "running", "finishing"} <= states, states
