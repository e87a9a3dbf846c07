"""Files in object stores, streamed both ways: what `JetStreamBus` answers `put_object` and its kin with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .object_download import download
from .object_layout import ArtifactBroken, info_of, input_name
from .object_upload import find, max_age, remove, upload
from .port import ObjectInfo

if TYPE_CHECKING:
    from .jetstream import JetStreamBus

__all__ = ["ArtifactBroken", "delete_object", "get_object", "input_name", "object_info", "put_object"]


async def put_object(
    bus: JetStreamBus, bucket: str, name: str, source: Path | bytes, headers: Mapping[str, str] | None = None
) -> ObjectInfo:
    """Store a file under a name, in constant memory.

    An object of that name with the same digest is left as it is, or stored anew if it is past half the time that its
    bucket keeps it. A broken connection is waited for (30 s); the upload then starts again from the beginning.

    Raises:
        ArtifactBroken: the name is `sha256-<hex>` and the file has another digest.
        OSError: the file cannot be read.
        Refused: no such bucket, or it is full.
        Disconnected, OutcomeUnknown, NoResponders
    """
    return await upload(bus, bucket, name, source, headers or {})


async def get_object(bus: JetStreamBus, bucket: str, name: str, target: Path) -> ObjectInfo:
    """Write an object to a file, in constant memory; `target` appears whole or not at all.

    Raises:
        KeyError: no such object.
        ArtifactBroken: a chunk is missing, or the bytes have another digest than the record says.
        OSError: the file cannot be written.
        Refused, Disconnected, OutcomeUnknown, NoResponders
    """
    return await download(bus, bucket, name, target)


async def object_info(bus: JetStreamBus, bucket: str, name: str) -> ObjectInfo | None:
    """What is stored under a name, or None. Errors as `Bus.last`."""
    standing = await find(bus, bucket, name)
    if standing is None or standing[0].deleted:
        return None
    info = info_of(standing[0], standing[1].time)
    max_age_s = await max_age(bus, bucket)
    return info._replace(kept_until=info.stored_at + max_age_s) if max_age_s else info


async def delete_object(bus: JetStreamBus, bucket: str, name: str) -> None:
    """Remove an object and its chunks; nothing if absent. Errors as `Bus.append`."""
    await remove(bus, bucket, name)
