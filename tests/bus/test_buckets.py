"""Key/value buckets and object stores."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.names import chunk_subject, kv_stream, kv_subject
from pocket3d.bus.port import Append, Bus, Conflict, Expect, Refused
from pocket3d.bus.topology import StreamSpec, Topology
from pocket3d.contracts.subjects import Subjects


async def test_put_get_delete(bus: Bus, s: Subjects) -> None:
    bucket = s.agents_bucket
    assert await bus.kv_get(bucket, "gpu-07") is None
    first = await bus.kv_put(bucket, "gpu-07", b"1")
    entry = await bus.kv_get(bucket, "gpu-07")
    assert entry == ("gpu-07", b"1", first)
    second = await bus.kv_put(bucket, "gpu-07", b"2")
    assert second > first
    assert await bus.kv_get(bucket, "gpu-07") == ("gpu-07", b"2", second)
    await bus.kv_delete(bucket, "gpu-07")
    await bus.kv_delete(bucket, "gpu-07")
    await bus.kv_delete(bucket, "never-there")
    assert await bus.kv_get(bucket, "gpu-07") is None
    assert await bus.last_seq(kv_stream(bucket)) == 3


async def test_update_is_compare_and_set(bus: Bus, s: Subjects) -> None:
    bucket = s.agents_bucket
    revision = await bus.kv_update(bucket, "k", b"1", last=0)
    for stale in (0, revision + 5):
        with pytest.raises(Conflict):
            await bus.kv_update(bucket, "k", b"x", last=stale)
    newer = await bus.kv_update(bucket, "k", b"2", last=revision)
    with pytest.raises(Conflict) as caught:
        await bus.kv_update(bucket, "k", b"x", last=revision)
    assert caught.value.last == newer
    assert await bus.kv_get(bucket, "k") == ("k", b"2", newer)


async def test_a_deleted_key_is_absent_for_update(bus: Bus, s: Subjects) -> None:
    await bus.kv_put(s.agents_bucket, "k", b"1")
    await bus.kv_delete(s.agents_bucket, "k")
    revision = await bus.kv_update(s.agents_bucket, "k", b"2", last=0)
    assert await bus.kv_get(s.agents_bucket, "k") == ("k", b"2", revision)


async def test_one_of_many_takes_the_lease(place: Any, s: Subjects) -> None:
    buses = [await place.connect() for _ in range(4)]

    async def take(number: int) -> int:
        try:
            return await buses[number % 4].kv_update(s.leader_bucket, "leader", b"%d" % number, last=0)
        except Conflict:
            return 0

    assert len([won for won in await asyncio.gather(*(take(n) for n in range(16))) if won]) == 1


async def test_entries_match_on_the_server_side(bus: Bus, s: Subjects) -> None:
    for key in ("a.1", "a.2", "b.1", "job.a"):
        await bus.kv_put(s.agents_bucket, key, key.encode())
    await bus.kv_put(s.agents_bucket, "a.1", b"again")
    await bus.kv_delete(s.agents_bucket, "a.2")
    entries = await bus.kv_entries(s.agents_bucket)
    assert {entry.key: entry.value for entry in entries} == {"a.1": b"again", "b.1": b"b.1", "job.a": b"job.a"}
    assert {entry.key for entry in await bus.kv_entries(s.agents_bucket, "a.*")} == {"a.1"}
    assert await bus.kv_entries(s.agents_bucket, "nobody.>") == []


async def test_many_entries_come_in_pages(bus: Bus, s: Subjects) -> None:
    await asyncio.gather(*(bus.kv_put(s.agents_bucket, f"k{n}", b"%d" % n) for n in range(1300)))
    entries = await bus.kv_entries(s.agents_bucket)
    assert {entry.key for entry in entries} == {f"k{n}" for n in range(1300)}


async def test_entries_expire(place: Any, bus: Bus, s: Subjects) -> None:
    bucket = f"{s.namespace.upper()}_SHORT"
    spec = StreamSpec(kv_stream(bucket), (kv_subject(bucket, ">"),), "a lease", max_age_s=1.0, max_msgs_per_subject=1)
    await bus.ensure(Topology(streams=(spec,)))
    revision = await bus.kv_update(bucket, "leader", b"me", last=0)
    gone: list[bool] = []

    async def watch() -> None:
        while await bus.kv_get(bucket, "leader") is not None:
            await asyncio.sleep(0)
        gone.append(True)

    watching = asyncio.ensure_future(watch())
    await place.eventually(lambda: gone)
    await watching
    with pytest.raises(Conflict):
        await bus.kv_update(bucket, "leader", b"me", last=revision)
    assert await bus.kv_update(bucket, "leader", b"you", last=0) > revision


async def test_the_status_bucket_is_made_of_events(place: Any, bus: Bus, s: Subjects) -> None:
    found: dict[str, bytes] = {}

    async def read() -> None:
        while True:
            found.update({entry.key: entry.value for entry in await bus.kv_entries(s.status_bucket)})
            await asyncio.sleep(0.001 if place.kind == "jetstream" else 0)

    fence = await bus.append(s.leader_record(), b"epoch 1")
    await bus.append(s.event("echo", "a", "queued"), b"a queued", expect=Expect(0, s.events_of("a")))
    await bus.append_batch(
        [
            Append(s.event("echo", "a", "started"), b"a started", None, Expect(fence, s.leader_record())),
            Append(s.event("text_to_mesh", "b", "queued"), b"b queued"),
        ]
    )
    reading = asyncio.ensure_future(read())
    await place.eventually(lambda: found == {"a": b"a started", "b": b"b queued"})
    reading.cancel()
    await asyncio.wait({reading})
    # Nobody but the server may write there.
    with pytest.raises(Exception, match="nobody listens"):
        await bus.kv_put(s.status_bucket, "a", b"forged")


# -- objects


async def test_an_object_goes_in_and_comes_out(bus: Bus, s: Subjects, tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000
    source = tmp_path / "chair.glb"
    source.write_bytes(data)
    info = await bus.put_object(s.outputs_bucket, "job/1-1/chair.glb", source, headers={"Kind": "mesh"})
    assert (info.bucket, info.name, info.size) == (s.outputs_bucket, "job/1-1/chair.glb", len(data))
    assert info.sha256 == hashlib.sha256(data).hexdigest()
    assert info.headers["Kind"] == "mesh"
    found = await bus.object_info(s.outputs_bucket, "job/1-1/chair.glb")
    assert found is not None and found.kept_until > info.stored_at
    assert found._replace(kept_until=info.kept_until) == info
    target = tmp_path / "out.glb"
    assert await bus.get_object(s.outputs_bucket, "job/1-1/chair.glb", target) == info
    assert target.read_bytes() == data


async def test_the_same_object_is_left_and_another_replaces_it(bus: Bus, s: Subjects, tmp_path: Path) -> None:
    first = await bus.put_object(s.outputs_bucket, "a", b"one")
    assert await bus.put_object(s.outputs_bucket, "a", b"one") == first
    second = await bus.put_object(s.outputs_bucket, "a", b"other")
    assert second.sha256 != first.sha256
    await bus.get_object(s.outputs_bucket, "a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"other"


async def test_an_empty_object(bus: Bus, s: Subjects, tmp_path: Path) -> None:
    assert (await bus.put_object(s.outputs_bucket, "empty", b"")).size == 0
    await bus.get_object(s.outputs_bucket, "empty", tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


async def test_absent_and_deleted_objects(bus: Bus, s: Subjects, tmp_path: Path) -> None:
    assert await bus.object_info(s.outputs_bucket, "nothing") is None
    with pytest.raises(KeyError):
        await bus.get_object(s.outputs_bucket, "nothing", tmp_path / "x")
    await bus.delete_object(s.outputs_bucket, "nothing")
    await bus.put_object(s.outputs_bucket, "a", b"one")
    await bus.delete_object(s.outputs_bucket, "a")
    assert await bus.object_info(s.outputs_bucket, "a") is None
    with pytest.raises(KeyError):
        await bus.get_object(s.outputs_bucket, "a", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(Refused):
        await bus.put_object("NOWHERE", "a", b"one")


async def slices(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def test_what_comes_in_pieces_is_named_by_its_digest(bus: Bus, s: Subjects, tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000
    digest = hashlib.sha256(data).hexdigest()
    info = await bus.put_stream(s.inputs_bucket, "sha256-{}".format, slices(data, 70_001), headers={"filename": "a"})
    assert (info.name, info.size, info.sha256) == (f"sha256-{digest}", len(data), digest)
    assert info.headers["filename"] == "a"
    await bus.get_object(s.inputs_bucket, info.name, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    again = await bus.put_stream(s.inputs_bucket, "sha256-{}".format, slices(data, 9_999))
    assert again.name == info.name
    assert len(await bus.uploads(s.inputs_bucket)) == 1, "the second upload left nothing"
    empty = await bus.put_stream(s.inputs_bucket, "sha256-{}".format, slices(b"", 1))
    assert (empty.size, empty.sha256) == (0, hashlib.sha256(b"").hexdigest())


async def test_pieces_that_break_off_leave_nothing(bus: Bus, s: Subjects) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        raise ValueError("the sender has gone")

    with pytest.raises(ValueError, match="gone"):
        await bus.put_stream(s.inputs_bucket, "sha256-{}".format, broken())
    assert await bus.uploads(s.inputs_bucket) == {}
    with pytest.raises(Refused):
        await bus.put_stream("NOWHERE", "{}".format, slices(b"abc", 1))


@pytest.mark.parametrize(("start", "stop"), [(0, None), (5, 6), (131_072, 300_000), (700_000, None), (767_999, None)])
async def test_a_part_of_an_object_is_read_in_pieces(bus: Bus, s: Subjects, start: int, stop: int | None) -> None:
    data = bytes(range(256)) * 3000
    await bus.put_object(s.outputs_bucket, "a", data)
    read = [piece async for piece in bus.read_object(s.outputs_bucket, "a", start=start, stop=stop)]
    assert b"".join(read) == data[start:stop]
    assert max(map(len, read)) <= 128 * 1024


async def test_an_object_that_is_not_there_is_not_read(bus: Bus, s: Subjects) -> None:
    with pytest.raises(KeyError):
        [piece async for piece in bus.read_object(s.outputs_bucket, "nothing")]


async def break_off(place: Any, bucket: str, upload: str, chunks: int) -> None:
    """What an upload leaves whose author died."""
    if place.kind == "memory":
        place.server.half_uploads.setdefault(bucket, {})[upload] = chunks
    else:
        for _ in range(chunks):
            await place.buses[0].append(chunk_subject(bucket, upload), b"chunk")


async def test_objects_are_listed_in_the_order_of_storing(bus: Bus, s: Subjects) -> None:
    bucket = s.outputs_bucket
    assert await bus.objects(bucket, start=1, limit=9) == []
    for name in ("j1/1-1/b.glb", "j1/1-1/a.glb", "j2/1-2/c d.glb"):
        await bus.put_object(bucket, name, name.encode())
    listed = await bus.objects(bucket, start=1, limit=9)
    assert [each.name for each in listed] == ["j1/1-1/b.glb", "j1/1-1/a.glb", "j2/1-2/c d.glb"]
    info = await bus.object_info(bucket, "j1/1-1/a.glb")
    assert info is not None
    assert listed[1].stored_at == info.stored_at
    assert await bus.objects(bucket, start=listed[0].seq, limit=2) == listed[:2]
    assert await bus.objects(bucket, start=listed[0].seq + 1, limit=1) == listed[1:2]
    await bus.delete_object(bucket, "j1/1-1/a.glb")
    assert [each.name for each in await bus.objects(bucket, start=1, limit=2)] == ["j1/1-1/b.glb", "j2/1-2/c d.glb"]


async def test_uploads_that_no_object_names_are_found_and_deleted(place: Any, bus: Bus, s: Subjects) -> None:
    bucket = s.outputs_bucket
    await bus.put_object(bucket, "j1/1-1/a.glb", b"whole")
    await break_off(place, bucket, "broken", 3)
    (whole,) = await bus.objects(bucket, start=1, limit=9)
    assert await bus.uploads(bucket) == {whole.upload: 1, "broken": 3}
    for _ in range(2):
        await bus.delete_upload(bucket, "broken")
        assert await bus.uploads(bucket) == {whole.upload: 1}
    assert (await bus.object_info(bucket, "j1/1-1/a.glb")) is not None
