"""Write down every result of a feature, as a service that may stop and start again at any time.

    python examples/subscriber.py text_to_mesh
    python examples/subscriber.py text_to_mesh 3        # end after three results, the last one unconfirmed

The server remembers under the name `example-archive` how far this subscriber is: one that was away for a day goes on
where it stopped. A result may come a second time (this program was killed between its work and the confirmation), so
the work has to bear being done twice: here a file is simply written again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing
from pathlib import Path

from pocket3d.bus.client import Client
from pocket3d.contracts.codec import encode

OUT = Path("out/archive")


async def main(feature: str, stop_after: int | None) -> None:
    """Write results to files until that many are written; without a number for ever."""
    OUT.mkdir(parents=True, exist_ok=True)
    written = 0
    async with Client.connect() as client, aclosing(client.results(feature, durable="example-archive")) as results:
        # A result is confirmed when the loop asks for the next one.
        async for result in results:
            # Encoded again it is what was on the wire.
            record = json.loads(encode(result))
            path = OUT / f"{result.job_id}.json"
            path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
            print(f"{result.job_id} {result.status} -> {path}", flush=True)
            written += 1
            if written == stop_after:
                return


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1] if len(sys.argv) > 1 else "text_to_mesh",
            int(sys.argv[2]) if len(sys.argv) > 2 else None,
        )
    )
