"""Key/value buckets as plain stream operations, for every bus alike.

A bucket B is a stream KV_B with subjects `$KV.B.<key>`, as every NATS client knows it. The NATS client's own KV class
is not used: with limit markers it returns expired keys and cannot create them again. Reads go to the stream's leader.
"""

from __future__ import annotations

from collections.abc import Mapping

from .micro import serve
from .names import kv_stream, kv_subject
from .port import Bus, Closable, Conflict, Expect, KvEntry, Msg, ServiceSpec, Stored

#: Entries per request while listing.
_PAGE = 512
_GONE = frozenset({"DEL", "PURGE"})


def is_gone(message: Stored) -> bool:
    """True for what stands in a key's place after it was deleted or has expired."""
    return message.headers.get("KV-Operation") in _GONE or "Nats-Marker-Reason" in message.headers


class KvOnStreams(Bus):
    """What every bus does by its own messages and streams: answers, services and the bucket methods."""

    async def respond(self, msg: Msg, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """As `Bus.respond`."""
        if msg.reply:
            await self.publish(msg.reply, data, headers)

    async def serve(self, service: ServiceSpec) -> Closable:
        """As `Bus.serve`."""
        return await serve(self, service)

    async def kv_get(self, bucket: str, key: str) -> KvEntry | None:
        """As `Bus.kv_get`."""
        message = await self.last(kv_stream(bucket), kv_subject(bucket, key))
        if message is None or is_gone(message):
            return None
        return KvEntry(key, message.data, message.seq)

    async def kv_put(self, bucket: str, key: str, value: bytes) -> int:
        """As `Bus.kv_put`."""
        return await self.append(kv_subject(bucket, key), value)

    async def kv_update(self, bucket: str, key: str, value: bytes, *, last: int) -> int:
        """As `Bus.kv_update`. "Absent" includes a key of which only a deletion marker is left."""
        subject = kv_subject(bucket, key)
        try:
            return await self.append(subject, value, expect=Expect(last))
        except Conflict:
            if last:
                raise
            marker = await self.last(kv_stream(bucket), subject)
            if marker is None or not is_gone(marker):
                raise
            return await self.append(subject, value, expect=Expect(marker.seq))

    async def kv_delete(self, bucket: str, key: str) -> None:
        """As `Bus.kv_delete`."""
        if await self.kv_get(bucket, key) is not None:
            await self.append(kv_subject(bucket, key), b"", headers={"KV-Operation": "DEL"})

    async def kv_entries(self, bucket: str, pattern: str = ">") -> list[KvEntry]:
        """As `Bus.kv_entries`. A bucket keeps one message per key, so its messages are its entries."""
        found: dict[str, KvEntry] = {}
        start, prefix = 1, len(kv_subject(bucket, ""))
        while True:
            page = await self.pages(kv_stream(bucket), kv_subject(bucket, pattern), start=start, limit=_PAGE)
            for message in page:
                key = message.subject[prefix:]
                if is_gone(message):
                    found.pop(key, None)
                else:
                    found[key] = KvEntry(key, message.data, message.seq)
            if len(page) < _PAGE:
                return list(found.values())
            start = page[-1].seq + 1
