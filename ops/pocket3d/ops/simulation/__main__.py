"""`python -m pocket3d.ops.simulation --seed N` or `--seeds COUNT`: run, report, exit 1 if a run failed."""

from __future__ import annotations

import argparse
import os
import sys

from .run import describe, describe_failure, run_seed, run_seeds
from .shapes import shape_of


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pocket3d.ops.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one seed")
    parser.add_argument("--seeds", type=int, default=100, help="run so many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many share them")
    options = parser.parse_args()
    if options.seed is not None:
        outcome = run_seed(options.seed, shape_of(options.seed))
        if outcome.wrong:
            print(describe_failure(outcome))
            return 1
        print(f"seed {options.seed} is fine: {outcome.results}, at rest after {outcome.seconds:.1f} virtual seconds")
        return 0
    seeds = range(options.first, options.first + options.seeds)
    summary = run_seeds(seeds, options.processes, lambda text: print(text, flush=True))
    print(describe(summary))
    return 1 if summary.failed else 0


if __name__ == "__main__":
    sys.exit(main())
