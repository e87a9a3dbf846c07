"""Submit one job, show how far it is, and fetch its files.

    python examples/submit.py "a red chair with four legs"

Needs the base install (`pip install .`) and a running system (`pocket3d up`, or a fleet). The server is the one in
`NATS_URL`, else nats://127.0.0.1:4222.
"""

from __future__ import annotations

import asyncio
import sys

from pocket3d.bus.client import Client


async def main(prompt: str) -> int:
    """Run one job; the exit code."""
    async with Client.connect() as client:
        # Returns when the server has stored the job: from here on it cannot get lost.
        job = await client.submit("text_to_mesh", {"text_prompt": prompt})
        print(f"job {job.job_id}")

        # Ends when the job has its result. A job that fails has no more progress, and a result like any other.
        async for progress in job.progress():
            percent = "" if progress.fraction is None else f"{progress.fraction:4.0%} "
            print(f"{percent}{progress.stage or ''}")

        result = await job.result()
        if result.error is not None:
            print(f"{result.status}: {result.error.code}: {result.error.message}", file=sys.stderr)
            return 1
        # To out/<job id>: two jobs of one model give their files the same names.
        for path in await job.download("out"):
            print(f"wrote {path}")
        return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(" ".join(sys.argv[1:]) or "a red chair with four legs")))
