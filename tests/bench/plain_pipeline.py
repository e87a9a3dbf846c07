"""The baseline: a two-hop JetStream pipeline as nats-py users write it. A worker process of its own.

python plain_pipeline.py URL plain       one message after the other, as the client's examples do
python plain_pipeline.py URL pipelined   the results of a batch at once: the most that this client gives
"""

from __future__ import annotations

import asyncio
import sys

import nats
from nats.js import JetStreamContext


async def create(js: JetStreamContext, name: str) -> None:
    """The two streams of one pipeline."""
    await js.add_stream(name=f"{name}_jobs", subjects=[f"{name}.jobs.*"], retention="workqueue")
    await js.add_stream(name=f"{name}_results", subjects=[f"{name}.results.*"])


async def work(url: str, name: str) -> None:
    """Until killed."""
    nc = await nats.connect(url)
    js = nc.jetstream()
    jobs = await js.pull_subscribe(f"{name}.jobs.*", durable="worker")
    print("ready", flush=True)
    while True:
        try:
            batch = await jobs.fetch(100, timeout=1)
        except asyncio.TimeoutError:  # the client raises its own kind and the bare one
            continue
        results = [js.publish(f"{name}.results.{m.subject.rsplit('.', 1)[1]}", m.data) for m in batch]
        if name == "pipelined":
            await asyncio.gather(*results)
            for msg in batch:
                await msg.ack()
        else:
            for msg, result in zip(batch, results, strict=True):
                await result
                await msg.ack()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
