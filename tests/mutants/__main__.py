"""Are the lines that decide really tested?

    make mutants                                100 mutants, seed 0
    make mutants MUTANTS_ARGS="--seed 7 --count 20 --module pocket3d.coordinator.auction.planning"

Samples lines of the modules that decide (see `support/purity.py`), changes each in one place, and runs the fast tests
that execute it, quick ones first, until one fails. Which tests those are is found by one run of all fast tests with
coverage's contexts. Survivors are listed at the end. Verdicts are kept in `.mutants/` until a source or test changes:
a run that was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from mutants.trials import Sampled, record_baseline, sample, try_all
from support.import_graph import ROOT


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="how many mutants (100)")
    parser.add_argument("--seed", type=int, default=0, help="chooses them (0)")
    parser.add_argument("--module", action="append", help="only of this module, by dotted name; may be repeated")
    parser.add_argument("--at-least", type=float, default=0.0, help="exit code 1 if fewer per cent are killed")
    parser.add_argument("--processes", type=int, default=2, help="mutants tried at a time (2)")
    options = parser.parse_args()
    folder: Path = ROOT / ".mutants"
    folder.mkdir(exist_ok=True)
    chosen = sample(options.count, options.seed, options.module)
    print(f"{len(chosen)} mutants, seed {options.seed}; running the fast tests once for what they execute", flush=True)
    known = record_baseline(folder, at_a_time=options.processes)
    print(f"{len(known.durations)} fast tests, {sum(known.durations.values()):.0f} s", flush=True)
    verdicts = try_all(chosen, known, folder, at_a_time=options.processes)
    return report(chosen, {each.key: verdicts[each.key] for each in chosen}, options.at_least)


def report(chosen: list[Sampled], verdicts: dict[str, str], at_least: float) -> int:
    """Print the figures and the survivors; the exit code."""
    counts = Counter(verdicts[each.key] for each in chosen)
    killed = counts["killed"] + counts["hung"]
    print()
    for component in sorted({each.component for each in chosen}):
        of_it = [verdicts[each.key] for each in chosen if each.component == component]
        dead = sum(verdict in ("killed", "hung") for verdict in of_it)
        print(f"{component:12} {dead:3} of {len(of_it):3} killed")
    per_cent = 100.0 * killed / max(len(chosen), 1)
    print(f"{'together':12} {killed:3} of {len(chosen):3} killed, {per_cent:.0f} % ({counts['hung']} of them hung)")
    for each in sorted(chosen, key=lambda one: one.place):
        if verdicts[each.key] in ("survived", "no test"):
            print(f"  {verdicts[each.key]:9} {each.place}  {each.mutant.before}  ->  {each.mutant.after}")
    return 1 if per_cent < at_least else 0


if __name__ == "__main__":
    raise SystemExit(main())
