"""Taking a durable pull consumer away from whoever pulls it.

A reset alone does not do it: the server goes on handing messages to pulls that wait, also to those of a process that
sleeps and will never act on them. Only the end of a consumer ends its waiting pulls, so it is deleted and made again
as it was, from the first message that is not acked.
"""

from __future__ import annotations

from ..port import CONSUMER_NOT_FOUND, ConsumerName
from .ensure import send_consumer
from .publisher import refusal
from .reader import Answer, ConsumerInfo, Reader


async def take_over(reader: Reader, consumer: ConsumerName) -> int:
    """As `Bus.take_over`; the sequence up to which all is acked. If this process dies in the middle the consumer is
    missing, and `ensure` makes it again.
    """
    place = f"{consumer.stream}.{consumer.name}"
    which = f"consumer {consumer.name} on {consumer.stream}"
    info = await reader.ask(f"CONSUMER.INFO.{place}", None, ConsumerInfo, f"take over {which}")
    deleted = await reader.api(f"CONSUMER.DELETE.{place}", None, Answer)
    if deleted.error is not None and deleted.error.err_code != CONSUMER_NOT_FOUND:
        raise refusal(deleted.error, f"delete {which}")
    refused = await send_consumer(reader, consumer, info.config, "create")
    if refused is not None:
        raise refusal(refused, f"make {which} again")
    if info.ack_floor.stream_seq:
        start = {"seq": info.ack_floor.stream_seq + 1}
        await reader.ask(f"CONSUMER.RESET.{place}", start, Answer, f"start {which} where it stood")
    return info.ack_floor.stream_seq
