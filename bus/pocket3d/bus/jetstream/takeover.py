"""Taking a durable pull consumer away from whoever pulls it.

A reset alone does not do it: the server goes on handing messages to pulls that wait, also to those of a process that
sleeps and will never act on them. Only the end of a consumer ends its waiting pulls, so it is deleted and made again
as it was, from the first message that is not acked.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..port import CONSUMER_NOT_FOUND, ConsumerName
from .ensure import send_consumer
from .publisher import ApiError, refusal
from .reader import Answer, Reader


class _Floor(msgspec.Struct, frozen=True):
    stream_seq: int = 0


class _Info(msgspec.Struct):
    config: dict[str, Any] = {}
    ack_floor: _Floor = _Floor()
    error: ApiError | None = None


async def take_over(reader: Reader, consumer: ConsumerName) -> int:
    """As `Bus.take_over`; the sequence up to which all is acked. If this process dies in the middle the consumer is
    missing, and `ensure` makes it again.
    """
    place = f"{consumer.stream}.{consumer.name}"
    info = await reader.api(f"CONSUMER.INFO.{place}", None, _Info)
    if info.error is not None:
        raise refusal(info.error, f"take over consumer {consumer.name} on {consumer.stream}")
    deleted = await reader.api(f"CONSUMER.DELETE.{place}", None, Answer)
    if deleted.error is not None and deleted.error.err_code != CONSUMER_NOT_FOUND:
        raise refusal(deleted.error, f"delete consumer {consumer.name} on {consumer.stream}")
    refused = await send_consumer(reader, consumer, info.config, "create")
    if refused is not None:
        raise refusal(refused, f"make consumer {consumer.name} on {consumer.stream} again")
    if info.ack_floor.stream_seq:
        start = {"seq": info.ack_floor.stream_seq + 1}
        moved = await reader.api(f"CONSUMER.RESET.{place}", start, Answer)
        if moved.error is not None:
            raise refusal(moved.error, f"start consumer {consumer.name} on {consumer.stream} where it stood")
    return info.ack_floor.stream_seq
