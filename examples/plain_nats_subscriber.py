"""A durable subscriber with nothing but nats-py. None of Pocket3DStudio is imported.

    python examples/plain_nats_subscriber.py            # results of all features
    python examples/plain_nats_subscriber.py echo 3     # of one feature, and end after three

It reads the results stream through a durable pull consumer: what happened while it was away comes first.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy


async def main(feature: str, stop_after: int | None) -> None:
    """Print results until that many were seen; without a number for ever."""
    nc = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1)
    js = nc.jetstream()
    durable = "plain-archive" if feature == "*" else f"plain-archive-{feature}"
    # The server keeps the consumer under this name: whoever comes back under it goes on where it stopped.
    await js.add_consumer(
        "P3D_RESULTS",
        ConsumerConfig(
            durable_name=durable,
            filter_subject=f"p3d.results.{feature}.*",
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=60,
        ),
    )
    subscription = await js.pull_subscribe_bind(durable, stream="P3D_RESULTS")
    seen = 0
    while seen != stop_after:
        try:
            # One at a time: what is pulled and not acknowledged comes again only after `ack_wait`. And short waits: a
            # pull that was lost with a connection is not repeated by nats-py.
            [message] = await subscription.fetch(1, timeout=2)
        except asyncio.TimeoutError:
            continue
        try:
            result = json.loads(message.data)
            # Here the work is done. It may come again if this program dies before the ack: it must bear that.
            print(f"{result['job_id']} {result['feature']} {result['status']}", flush=True)
        except (ValueError, LookupError, TypeError):
            # Unconfirmed it would come again for ever.
            print(f"no result on {message.subject}", file=sys.stderr)
        await message.ack()
        seen += 1
    await nc.drain()


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1] if len(sys.argv) > 1 else "*",
            int(sys.argv[2]) if len(sys.argv) > 2 else None,
        )
    )
