"""Sends strangers' data through everything that takes it: messages, both engines, files, frames, texts of people.

    make fuzz                                               an hour, a seed of the moment, which is printed
    make fuzz FUZZ_ARGS="--seconds 60 --only mesh --only image"
    make fuzz FUZZ_ARGS="--only mesh --seed 7 --case 1234"  one case again, with its whole traceback

The targets take turns. A finding is printed with the command that plays it again; the others go on. Exit code 1 if
there was one.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import time
from collections import Counter

from fuzz.targets import TARGETS, Finding, play

#: Seconds that a target has before it is the next one's turn.
_TURN_S = 5.0
#: Findings of a target, after which it is left out.
_ENOUGH = 10


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=3600.0, help="how long (3600)")
    parser.add_argument("--seed", type=int, default=None, help="of all cases (by default another each time)")
    parser.add_argument("--only", action="append", choices=sorted(TARGETS), help="only this target; may be repeated")
    parser.add_argument("--case", type=int, default=None, help="only this case")
    # Parsers tell of each broken file.
    logging.disable()
    options = parser.parse_args()
    seed = secrets.randbelow(10**9) if options.seed is None else options.seed
    names = options.only or list(TARGETS)
    if options.case is not None:
        for name in names:
            play(name, seed, options.case)
        print(f"case {options.case} of {', '.join(names)} with seed {seed}: nothing found")
        return 0
    return fuzz(names, seed, options.seconds)


def fuzz(names: list[str], seed: int, seconds: float) -> int:
    """Play cases until the time is over; the exit code."""
    print(f"seed {seed}, {seconds:g} s, {', '.join(names)}", flush=True)
    end = time.monotonic() + seconds
    cases, findings = Counter[str](), Counter[str]()
    while time.monotonic() < end and any(findings[name] < _ENOUGH for name in names):
        for name in names:
            turn = min(time.monotonic() + _TURN_S, end)
            while time.monotonic() < turn and findings[name] < _ENOUGH:
                try:
                    play(name, seed, cases[name])
                except Finding as found:
                    findings[name] += 1
                    print(f"{name}: {found}", flush=True)
                cases[name] += 1
    for name in names:
        print(f"{name:12} {cases[name]:9,} cases, {findings[name]} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
