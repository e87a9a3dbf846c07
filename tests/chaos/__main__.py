"""Kill everything, again and again, while jobs run; then count.

    make chaos                                            five minutes, 2,400 jobs, one server
    make chaos CHAOS_ARGS="--servers 3"                   the same on a cluster of three
    make chaos CHAOS_ARGS="--seconds 30 --jobs 240 --seed 7"

Every 1 to 5 seconds one process is killed with SIGKILL (a worker, an agent, the leading coordinator, a standby, a
server) and started again. The jobs are counted at the end by plain nats-py from the streams: exactly one result for
each, all succeeded, an empty queue, and no file in the outputs that no result names. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shutil
import tempfile
from pathlib import Path

import structlog

from chaos.trial import Trial


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="for so long things are killed (300)")
    parser.add_argument("--jobs", type=int, default=2400, help="published over that time (2400)")
    parser.add_argument("--servers", type=int, choices=(1, 3), default=1, help="nats-servers (1)")
    parser.add_argument("--seed", type=int, default=0, help="chooses what is killed when (0)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and stores")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.disable(logging.ERROR)  # nats-py tells each lost connection
    folder = Path(tempfile.mkdtemp(prefix="pocket3d-chaos-"))
    trial = Trial(folder, jobs=options.jobs, seconds=options.seconds, servers=options.servers, seed=options.seed)
    keep = True
    try:
        wrong = asyncio.run(trial.run())
        for line in wrong:
            print(f"WRONG: {line}")
        keep = bool(options.keep or wrong)
    finally:
        if keep:
            print(f"logs and stores: {folder}")
        else:
            shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
