"""The results of a feature as a durable consumer: whoever comes back under its name goes on where it stopped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from functools import partial

import structlog

from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.messages import Result
from pocket3d.contracts.subjects import Subjects

from ..port import Bus, ConsumerName, Delivery
from ..topology import ConsumerSpec, Topology, coordinator_results
from .errors import DurableInUse
from .retry import retry_until

_log = structlog.get_logger("pocket3d.bus.client.results")

_DURABLE = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: How long the server may be away while we ask something of it, seconds. Waiting for a result has no limit.
_RETRY_S = 60.0


async def feed(
    bus: Bus, subjects: Subjects, feature: str, durable: str, ack_wait_s: float
) -> AsyncGenerator[Result, None]:
    """As `Client.results`."""
    consumer = await _declare(bus, subjects, feature, durable, ack_wait_s)
    handed: asyncio.Queue[tuple[Delivery, asyncio.Event]] = asyncio.Queue()
    done: asyncio.Event | None = None
    closing = False

    async def hand_over(batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            if closing:
                return
            finished = asyncio.Event()
            handed.put_nowait((delivery, finished))
            # The next message is asked for when this one is done with: so none waits here past its ack wait.
            await finished.wait()

    consumption = await retry_until(partial(bus.consume, consumer, hand_over, batch=1), _soon())
    try:
        while True:
            delivery, done = await handed.get()
            try:
                result = decode(Result, delivery.message.data)
            except WireError as error:
                # It would come again for ever and hold up those behind it.
                _log.error(
                    "a stored message is no result; it is passed over",
                    subject=delivery.message.subject,
                    error=str(error),
                )
            else:
                yield result
            # Confirmed over a lost connection too; acking twice changes nothing.
            await retry_until(partial(bus.ack, consumer, delivery.message.seq), _soon())
            done.set()
    finally:
        closing = True
        if done is not None:
            done.set()
        while not handed.empty():
            handed.get_nowait()[1].set()
        await consumption.close()


def _soon() -> float:
    return asyncio.get_running_loop().time() + _RETRY_S


async def _declare(bus: Bus, subjects: Subjects, feature: str, durable: str, ack_wait_s: float) -> ConsumerName:
    if not _DURABLE.fullmatch(durable):
        raise ValueError(f"durable {durable!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and -")
    if durable == coordinator_results(subjects).name:
        raise DurableInUse(f"the durable {durable!r} is the coordinator's own; take another name")
    spec = ConsumerSpec(
        stream=subjects.results_stream,
        name=durable,
        filter_subject=subjects.results_of_feature(feature),
        description=f"A subscriber to the results of {feature}",
        metadata={"pocket3d.namespace": subjects.namespace, "pocket3d.feature": feature},
        ack_wait_s=ack_wait_s,
    )
    left = await retry_until(partial(bus.ensure, Topology(consumers=(spec,))), _soon())
    if left:
        raise DurableInUse(
            f"the durable {durable!r} is there for something else ({'; '.join(left)}): take another name, or remove it "
            f"with `nats consumer rm {subjects.results_stream} {durable}`"
        )
    return spec.consumer
