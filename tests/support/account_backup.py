"""Backup and restore of streams by the JetStream API through nats-py, as `nats account backup` and `restore` do it."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

_TIMEOUT_S = 20.0
_CHUNK_BYTES = 64 * 1024


class Snapshot(NamedTuple):
    """A stream with its messages and consumers."""

    config: dict[str, Any]
    state: dict[str, Any]
    chunks: list[bytes]


async def api(nc: Any, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request to the JetStream API; an error of it is an error here."""
    data = json.dumps(body).encode() if body is not None else b""
    answer = json.loads((await nc.request(f"$JS.API.{verb}", data, timeout=_TIMEOUT_S)).data)
    assert "error" not in answer, (verb, answer["error"])
    return dict(answer)


async def stream_names(nc: Any) -> list[str]:
    """All streams of the account, in the order in which the CLI takes them."""
    return sorted((await api(nc, "STREAM.NAMES")).get("streams") or [])


async def back_up(nc: Any, stream: str) -> Snapshot:
    """Copy a stream."""
    inbox, chunks = nc.new_inbox(), []
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_chunk(msg: Any) -> None:
        if msg.data:
            chunks.append(msg.data)
            await nc.publish(msg.reply, b"")
        elif not ended.done():
            ended.set_result(None)

    subscription = await nc.subscribe(inbox, cb=on_chunk)
    body = {"deliver_subject": inbox, "no_consumers": False, "chunk_size": _CHUNK_BYTES}
    answer = await api(nc, f"STREAM.SNAPSHOT.{stream}", body)
    await asyncio.wait_for(ended, _TIMEOUT_S)
    await subscription.unsubscribe()
    return Snapshot(answer["config"], answer["state"], chunks)


async def restore(nc: Any, snapshot: Snapshot) -> None:
    """Make the stream again as it was."""
    body = {"config": snapshot.config, "state": snapshot.state}
    answer = await api(nc, f"STREAM.RESTORE.{snapshot.config['name']}", body)
    for chunk in snapshot.chunks:
        await nc.request(answer["deliver_subject"], chunk, timeout=_TIMEOUT_S)
    done = json.loads((await nc.request(answer["deliver_subject"], b"", timeout=_TIMEOUT_S)).data)
    assert "error" not in done, done["error"]
