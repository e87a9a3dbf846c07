"""Artifacts on a real server: whole or not at all, readable by other clients, fast, and gentle to the server."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import secrets
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import nats.js
import pytest
from nats.js.api import ObjectMeta, ObjectMetaOptions, StreamConfig
from nats.js.object_store import ObjectStore

from pocket3d.bus.connect import ConnectOptions
from pocket3d.bus.jetstream import JetStreamBus
from pocket3d.bus.jetstream.objects import download as object_download
from pocket3d.bus.jetstream.objects import layout as object_layout
from pocket3d.bus.jetstream.objects.layout import ArtifactBroken, input_name
from pocket3d.bus.jetstream.objects.link import ObjectLink
from pocket3d.bus.jetstream.objects.upload import upload
from pocket3d.bus.jetstream.publisher import Publisher
from pocket3d.bus.names import chunk_subject, record_subject
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import Disconnected, ObjectInfo, OutcomeUnknown, Refused

pytestmark = pytest.mark.e2e

CHUNK = object_layout.CHUNK_BYTES
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * 1024 * 1024 + 17]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def noise(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
async def store(js: nats.js.JetStreamContext) -> ObjectStore:
    return await js.create_object_store(f"B{secrets.token_hex(4)}")


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    return store._name


def object_link(bus: JetStreamBus, kind: type[ObjectLink] = ObjectLink) -> ObjectLink:
    return kind(bus.link, bus.reader, Publisher(bus.link))


async def chunks_in(js: nats.js.JetStreamContext, bucket: str) -> dict[str, int]:
    """Stored messages of a bucket by subject."""
    info = await js.stream_info(f"OBJ_{bucket}", subjects_filter=">")
    return info.state.subjects or {}


# ---------------------------------------------------------------- whole files, both ways


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["path", "bytes"])
async def test_comes_back_as_it_was(bus: JetStreamBus, bucket: str, tmp_path: Path, size: int, kind: str) -> None:
    data = noise(size)
    source = tmp_path / "in.glb"
    source.write_bytes(data)
    before = time.time()
    put = await bus.put_object(
        bucket, "job/1-1/in.glb", source if kind == "path" else data, headers={"filename": "ä.glb"}
    )
    assert put.size == size
    assert put.sha256 == sha256(data)
    assert put.headers == {"filename": "ä.glb"}
    assert before - 1 <= put.stored_at <= time.time() + 1
    target = tmp_path / "out.glb"
    assert await bus.get_object(bucket, "job/1-1/in.glb", target) == put
    assert target.read_bytes() == data
    assert await bus.object_info(bucket, "job/1-1/in.glb") == put
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.glb", "out.glb"]


@pytest.mark.parametrize("size", SIZES)
async def test_nats_py_reads_ours(
    bus: JetStreamBus, store: ObjectStore, bucket: str, tmp_path: Path, size: int
) -> None:
    data = noise(size)
    await bus.put_object(bucket, "a b/ü.bin", data, headers={"k": "v"})
    got = await asyncio.wait_for(store.get("a b/ü.bin"), 20)
    assert got.data == data
    [listed] = await store.list()
    assert (listed.name, listed.size, listed.bucket) == ("a b/ü.bin", size, bucket)
    assert listed.digest == "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
    # What Go's client wants: headers as lists, a time that RFC 3339 knows.
    stored = await bus.last(f"OBJ_{bucket}", record_subject(bucket, "a b/ü.bin"))
    assert stored is not None
    body = json.loads(stored.data)
    assert body["headers"] == {"k": ["v"]}
    assert body["mtime"].endswith("Z")
    assert body["options"] == {"max_chunk_size": CHUNK}


@pytest.mark.parametrize("size", SIZES)
async def test_we_read_what_nats_py_wrote(
    bus: JetStreamBus, store: ObjectStore, bucket: str, tmp_path: Path, size: int
) -> None:
    data = noise(size)
    meta = ObjectMeta(headers={"filename": "cat.png"}, options=ObjectMetaOptions(max_chunk_size=700_000))
    await store.put("theirs", data, meta=meta)
    info = await bus.get_object(bucket, "theirs", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert info.headers == {"filename": "cat.png"}
    assert info.sha256 == sha256(data)


async def test_a_file_replaces_the_target_whole(bus: JetStreamBus, bucket: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"old")
    await bus.put_object(bucket, "n", b"new")
    await bus.get_object(bucket, "n", target)
    assert target.read_bytes() == b"new"


# ---------------------------------------------------------------- names, replacing, removing


async def test_absent_object_is_a_key_error(bus: JetStreamBus, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no object 'nope' in the bucket"):
        await bus.get_object(bucket, "nope", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert await bus.object_info(bucket, "nope") is None
    await bus.delete_object(bucket, "nope")


async def test_absent_bucket_is_refused(bus: JetStreamBus, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="stream not found"):
        await bus.put_object("NOPE", "n", b"x")
    with pytest.raises(Refused, match="stream not found"):
        await bus.get_object("NOPE", "n", tmp_path / "out")


async def test_replaced_object_leaves_no_chunks(bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path) -> None:
    await bus.put_object(bucket, "n", noise(3 * CHUNK))
    await bus.put_object(bucket, "n", noise(CHUNK, seed=8))
    subjects = await chunks_in(js, bucket)
    assert sorted(subjects.values()) == [1, 1]
    await bus.get_object(bucket, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == noise(CHUNK, seed=8)


async def test_removed_object_is_gone_for_all(
    bus: JetStreamBus, store: ObjectStore, bucket: str, js: Any, tmp_path: Path
) -> None:
    await bus.put_object(bucket, "n", noise(3 * CHUNK))
    await bus.delete_object(bucket, "n")
    assert await bus.object_info(bucket, "n") is None
    with pytest.raises(KeyError):
        await bus.get_object(bucket, "n", tmp_path / "out")
    with pytest.raises(nats.js.errors.ObjectNotFoundError):
        await store.get("n")
    assert list(await chunks_in(js, bucket)) == [record_subject(bucket, "n")]
    await bus.put_object(bucket, "n", b"again")
    assert (await bus.get_object(bucket, "n", tmp_path / "out")).size == 5


async def test_same_file_is_not_sent_again(bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path) -> None:
    data = noise(2 * CHUNK)
    first = await bus.put_object(bucket, input_name(sha256(data)), data)
    (tmp_path / "f").write_bytes(data)
    before = (await js.stream_info(f"OBJ_{bucket}")).state.last_seq
    again = await bus.put_object(bucket, input_name(sha256(data)), tmp_path / "f")
    assert again == first
    assert (await js.stream_info(f"OBJ_{bucket}")).state.last_seq == before


async def test_same_file_past_half_its_time_is_stored_anew(
    bus: JetStreamBus, js: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged = f"B{secrets.token_hex(4)}"
    await js.create_object_store(aged, ttl=3600)
    data = noise(2 * CHUNK)
    first = await bus.put_object(aged, "n", data)
    real = time.time
    monkeypatch.setattr("pocket3d.bus.jetstream.objects.upload.time.time", lambda: real() + 1700)
    assert (await bus.put_object(aged, "n", data)).stored_at == first.stored_at
    monkeypatch.setattr("pocket3d.bus.jetstream.objects.upload.time.time", lambda: real() + 1900)
    assert (await bus.put_object(aged, "n", data)).stored_at > first.stored_at
    # Readers of the first upload are not disturbed: its chunks stay until their age removes them.
    assert sorted((await chunks_in(js, aged)).values()) == [1, 2, 2]
    await bus.get_object(aged, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize(
    ("age", "max_age", "due"), [(0, 0, False), (1e9, 0, False), (49, 100, False), (50, 100, False), (51, 100, True)]
)
def test_due_for_refresh(age: float, max_age: float, due: bool) -> None:
    assert object_layout.due_for_refresh(1000.0, max_age, 1000.0 + age) is due


# ---------------------------------------------------------------- damage


async def test_name_that_promises_another_digest_is_refused(bus: JetStreamBus, bucket: str, js: Any) -> None:
    name = input_name(sha256(b"what was hashed"))
    with pytest.raises(ArtifactBroken, match="did it change while it was uploaded"):
        await bus.put_object(bucket, name, b"what is there now")
    assert await bus.object_info(bucket, name) is None
    assert await chunks_in(js, bucket) == {}


async def test_lost_chunk_is_named(bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path) -> None:
    await bus.put_object(bucket, "n", noise(5 * CHUNK))
    await js.delete_msg(f"OBJ_{bucket}", 5)
    with pytest.raises(ArtifactBroken, match="not whole: chunk 5 of 5 is missing"):
        await bus.get_object(bucket, "n", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


async def test_changed_bytes_are_noticed(bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path) -> None:
    await bus.put_object(bucket, "n", noise(2 * CHUNK))
    record = await object_link(bus).find(bucket, "n")
    assert record is not None
    # Somebody with access to the bucket replaces the last chunk, size kept.
    await js.delete_msg(f"OBJ_{bucket}", 2)
    await js.publish(chunk_subject(bucket, record[0].nuid), noise(CHUNK, seed=9))
    (tmp_path / "out").write_bytes(b"before")
    with pytest.raises(ArtifactBroken, match="damaged: its bytes have the SHA-256"):
        await bus.get_object(bucket, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


async def test_a_reader_of_pieces_never_gets_the_end_of_a_damaged_file(bus: JetStreamBus, bucket: str, js: Any) -> None:
    await bus.put_object(bucket, "n", noise(2 * CHUNK))
    record = await object_link(bus).find(bucket, "n")
    assert record is not None
    await js.delete_msg(f"OBJ_{bucket}", 2)
    got = []
    with pytest.raises(ArtifactBroken, match="not whole: chunk 2 of 2 is missing"):
        async for piece in bus.read_object(bucket, "n"):
            got.append(piece)
    await js.publish(chunk_subject(bucket, record[0].nuid), noise(CHUNK, seed=9))
    with pytest.raises(ArtifactBroken, match="damaged"):
        async for piece in bus.read_object(bucket, "n"):
            got.append(piece)
    assert set(got) == {noise(2 * CHUNK)[:CHUNK]}


async def test_broken_record_is_told(bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path) -> None:
    await js.publish(record_subject(bucket, "n"), b"{}")
    with pytest.raises(ArtifactBroken, match="holds no record of an object"):
        await bus.get_object(bucket, "n", tmp_path / "out")


async def test_link_is_not_followed(bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path) -> None:
    link = {"name": "n", "bucket": bucket, "nuid": "x", "size": 0, "chunks": 0}
    link["options"] = {"link": {"bucket": "OTHER", "name": "m"}}
    await js.publish(record_subject(bucket, "n"), json.dumps(link).encode())
    with pytest.raises(Refused, match="links are not followed"):
        await bus.get_object(bucket, "n", tmp_path / "out")


async def test_object_replaced_while_read_comes_whole(
    bus: JetStreamBus, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bus.put_object(bucket, "n", noise(6 * CHUNK))
    monkeypatch.setattr(object_download, "_BATCH_BYTES", 2 * CHUNK)
    real = object_download.Chunks._direct_batch
    replaced: list[ObjectInfo] = []

    async def batch_then_replace(self: object_download.Chunks) -> list[bytes]:
        chunks = await real(self)
        if not replaced:
            replaced.append(await bus.put_object(bucket, "n", noise(7 * CHUNK, seed=8)))
        return chunks

    monkeypatch.setattr(object_download.Chunks, "_direct_batch", batch_then_replace)
    info = await bus.get_object(bucket, "n", tmp_path / "out")
    assert replaced == [info]
    assert (tmp_path / "out").read_bytes() == noise(7 * CHUNK, seed=8)


async def test_bucket_without_direct_gets_is_read_from_the_leader(bus: JetStreamBus, js: Any, tmp_path: Path) -> None:
    name = f"B{secrets.token_hex(4)}"
    config = StreamConfig(
        name=f"OBJ_{name}", subjects=[f"$O.{name}.C.>", f"$O.{name}.M.>"], allow_rollup_hdrs=True, allow_direct=False
    )
    await js.add_stream(config)
    await bus.put_object(name, "n", noise(40 * CHUNK + 5))
    await bus.get_object(name, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == noise(40 * CHUNK + 5)


async def test_chunks_that_a_replica_lacks_are_read_from_the_leader(
    bus: JetStreamBus, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = object_download.Chunks._direct_batch
    calls = 0

    async def lagging(self: object_download.Chunks) -> list[bytes]:
        nonlocal calls
        calls += 1
        return [] if calls % 2 else await real(self)

    monkeypatch.setattr(object_download, "_BATCH_BYTES", 2 * CHUNK)
    monkeypatch.setattr(object_download.Chunks, "_direct_batch", lagging)
    await bus.put_object(bucket, "n", noise(60 * CHUNK))
    await bus.get_object(bucket, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == noise(60 * CHUNK)
    assert calls > 2


# ---------------------------------------------------------------- uncertain uploads


class Troubled(ObjectLink):
    """A link whose n-th append fails in a chosen way."""

    def __init__(self, bus: JetStreamBus, trouble: dict[int, Exception | None], stored: bool) -> None:
        super().__init__(bus.link, bus.reader, Publisher(bus.link))
        self.trouble = trouble
        self.stored = stored
        self.calls = 0

    async def append(self, *args: Any, **kwargs: Any) -> int:
        self.calls += 1
        error = self.trouble.pop(self.calls, None)
        if error is not None:
            if self.stored:
                await super().append(*args, **kwargs)
            raise error
        return await super().append(*args, **kwargs)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("at", [1, 3, 5, 6])
async def test_uncertain_append_does_not_spoil_the_file(
    bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path, at: int, stored: bool
) -> None:
    troubled = Troubled(bus, {at: OutcomeUnknown("lost")}, stored)
    data = noise(5 * CHUNK)  # appends 1 to 5 are chunks, 6 is the record
    await upload(troubled, bucket, "n", data, {})
    await bus.get_object(bucket, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert sorted((await chunks_in(js, bucket)).values()) == [1, 5]


async def test_chunks_stored_out_of_order_start_the_upload_again(
    bus: JetStreamBus, bucket: str, js: Any, tmp_path: Path
) -> None:
    class Swapping(ObjectLink):
        swap = True

        async def append(self, *args: Any, **kwargs: Any) -> int:
            seq = await super().append(*args, **kwargs)
            if self.swap and seq == 2:
                self.swap = False
                return 4  # as if chunk 2 had been stored after chunk 3
            return seq

    await upload(object_link(bus, Swapping), bucket, "n", noise(4 * CHUNK), {})
    assert sorted((await chunks_in(js, bucket)).values()) == [1, 4]
    await bus.get_object(bucket, "n", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == noise(4 * CHUNK)


async def test_full_bucket_is_refused_and_left_clean(bus: JetStreamBus, js: Any) -> None:
    name = f"B{secrets.token_hex(4)}"
    await js.create_object_store(name, max_bytes=4 * CHUNK)
    with pytest.raises(Refused, match="maximum bytes"):
        await bus.put_object(name, "n", noise(10 * CHUNK))
    assert await chunks_in(js, name) == {}


async def test_file_that_is_not_there(bus: JetStreamBus, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await bus.put_object(bucket, "n", tmp_path / "nope")


async def test_server_killed_during_transfers(tmp_path: Path, bus: JetStreamBus) -> None:
    data = noise(30_000_000)
    (tmp_path / "in").write_bytes(data)
    async with EmbeddedServer(tmp_path / "store", http_port=None) as own:
        link = await JetStreamBus.connect(ConnectOptions(servers=(own.url,), reconnect_wait_s=0.05))
        try:
            client = await nats.connect(own.url)
            await client.jetstream().create_object_store("B")
            await client.close()

            async def bounce_after(chunks: int) -> None:
                while link.nc.stats["out_msgs"] + link.nc.stats["in_msgs"] < chunks:
                    await asyncio.sleep(0)
                await own.kill()
                await own.start()

            start = link.nc.stats["out_msgs"] + link.nc.stats["in_msgs"]
            bouncing = asyncio.ensure_future(bounce_after(start + 100))
            await link.put_object("B", "n", tmp_path / "in")
            await bouncing
            start = link.nc.stats["out_msgs"] + link.nc.stats["in_msgs"]
            bouncing = asyncio.ensure_future(bounce_after(start + 60))
            await link.get_object("B", "n", tmp_path / "out")
            await bouncing
            assert (tmp_path / "out").read_bytes() == data
        finally:
            await link.close()


async def test_disconnected_is_told_at_once(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "store", http_port=None) as own:
        link = await JetStreamBus.connect(ConnectOptions(servers=(own.url,), reconnect_wait_s=0.05))
        lost = asyncio.Event()
        link.on_connection(lambda up: None if up else lost.set())
        await own.kill()
        await asyncio.wait_for(lost.wait(), 10)
        with pytest.raises(Disconnected):
            await link.put_object("B", "n", b"x")
        with pytest.raises(Disconnected):
            await link.get_object("B", "n", tmp_path / "out")
        await link.close()


# ---------------------------------------------------------------- cost


@pytest.fixture
def big(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(50_000_000))
    yield path
    path.unlink()


async def test_fifty_megabytes_at_little_cost_and_without_consumers(
    bus: JetStreamBus, store: ObjectStore, bucket: str, js: Any, big: Path, tmp_path: Path, capsys: Any
) -> None:
    """The cost is the processor's time of this process, which a busy machine does not stretch as it does the wall's: to
    get 50 MB costs about what it costs nats-py's own client (threefold slack)."""
    put: list[float] = []
    get: list[float] = []
    theirs: list[float] = []
    for number in range(3):
        begin = time.process_time()
        await bus.put_object(bucket, f"n{number}", big)
        put.append(time.process_time() - begin)
        begin = time.process_time()
        await bus.get_object(bucket, f"n{number}", tmp_path / "out")
        get.append(time.process_time() - begin)
    assert (await js.stream_info(f"OBJ_{bucket}")).state.consumer_count == 0
    for number in range(3):
        with (tmp_path / "theirs").open("wb") as file:
            begin = time.process_time()
            await store.get(f"n{number}", writeinto=file)
            theirs.append(time.process_time() - begin)
    assert (tmp_path / "out").read_bytes() == big.read_bytes()
    with capsys.disabled():
        print(f"\n50 MB on loopback, CPU: put {min(put):.2f} s, get {min(get):.2f} s; nats-py get {min(theirs):.2f} s")
    assert min(get) < 3 * min(theirs)


async def test_memory_does_not_follow_the_size(bus: JetStreamBus, bucket: str, big: Path, tmp_path: Path) -> None:
    await bus.put_object(bucket, "warm", b"x")
    tracemalloc.start()
    try:
        await bus.put_object(bucket, "n", big)
        _, put_peak = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        await bus.get_object(bucket, "n", tmp_path / "out")
        _, get_peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert put_peak < 16_000_000
    assert get_peak < 24_000_000


async def test_the_loop_is_not_held_up(bus: JetStreamBus, bucket: str, big: Path, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begin = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - begin)

    watching = asyncio.ensure_future(watch())
    await bus.put_object(bucket, "n", big)
    await bus.get_object(bucket, "n", tmp_path / "out")
    watching.cancel()
    # Hashing or copying the file on the loop would take some 40 ms or more at a stretch for every pass.
    assert longest < 0.25


def test_record_keeps_what_it_does_not_know_readable() -> None:
    record = msgspec.json.decode(
        b'{"name":"n","bucket":"B","nuid":"x","size":1,"chunks":1,"digest":"sha-256=YQ","new":1}',
        type=object_layout.ObjectRecord,
    )
    assert record.sha256 == b"a".hex()
    assert (
        msgspec.json.decode(b'{"name":"n","bucket":"B","size":1,"chunks":1}', type=object_layout.ObjectRecord).sha256
        == ""
    )
