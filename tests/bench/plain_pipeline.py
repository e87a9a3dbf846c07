"""The baseline: a plain two-hop JetStream pipeline as nats-py users write it. A worker process of its own.

    python plain_pipeline.py URL

pulls jobs in batches, publishes a result for each (the batch at once) and acks.
"""

from __future__ import annotations

import asyncio
import sys

import nats
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext


async def create(js: JetStreamContext) -> None:
    """The two streams."""
    await js.add_stream(name="PLAIN_JOBS", subjects=["plain.jobs.*"], retention="workqueue")
    await js.add_stream(name="PLAIN_RESULTS", subjects=["plain.results.*"])


async def work(url: str) -> None:
    """Until killed."""
    nc = await nats.connect(url)
    js = nc.jetstream()
    jobs = await js.pull_subscribe("plain.jobs.*", durable="worker")
    print("ready", flush=True)
    while True:
        try:
            batch = await jobs.fetch(100, timeout=1)
        except NatsTimeout:
            continue
        await asyncio.gather(*(js.publish(f"plain.results.{m.subject.rsplit('.', 1)[1]}", m.data) for m in batch))
        for msg in batch:
            await msg.ack()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
