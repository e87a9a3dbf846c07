"""Submitting: what is published, what is refused before anything is sent, and what is uploaded."""

from __future__ import annotations

import asyncio
import enum
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.client import Client, JobRefused, NotSetUp, QueueFull
from pocket3d.bus.memory import MemoryBus
from pocket3d.bus.memory.server import MemoryServer
from pocket3d.bus.nats_server.embedded import EmbeddedServer
from pocket3d.bus.port import Bus, OutcomeUnknown, Stored
from pocket3d.bus.topology import TopologySettings, build
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import MAX_DEPTH, Limits, generated_id


async def published(client: Client) -> list[Stored]:
    stream = client.subjects.jobs_stream
    return await client.bus.pages(stream, f"{client.subjects.namespace}.jobs.>", start=1, limit=100)


async def test_publishes_the_wire_s_job(client: Client) -> None:
    handle = await client.submit(
        "text_to_mesh",
        {"text_prompt": "a chair", "seed": 7},
        priority="high",
        job_id="chair-0001",
        model_preference=["a-b", "c"],
        vram_mb=6000,
        commercial_only=True,
        limits=Limits(schedule_to_start_s=60),
        retry={"max_attempts": 5},
        metadata={"order": "4711"},
        tenant="acme",
    )
    assert (handle.job_id, handle.feature) == ("chair-0001", "text_to_mesh")
    [stored] = await published(client)
    assert stored.subject == f"{client.subjects.namespace}.jobs.high.text_to_mesh"
    assert stored.headers == {"Nats-Msg-Id": "chair-0001"}
    assert json.loads(stored.data) == {
        "v": 1,
        "job_id": "chair-0001",
        "inputs": {"text_prompt": "a chair", "seed": 7},
        "model_preference": ["a-b", "c"],
        "vram_mb": 6000,
        "commercial_only": True,
        "limits": {"schedule_to_start_s": 60, "start_to_close_s": 3600, "load_s": 900},
        "retry": {"max_attempts": 5},
        "metadata": {"order": "4711"},
        "tenant": "acme",
    }


async def test_two_jobs_without_an_id_are_two(client: Client) -> None:
    first = await client.submit("echo")
    second = await client.submit("echo", commercial_only=False)
    assert first.job_id != second.job_id
    sent = [json.loads(s.data) for s in await published(client)]
    assert [each["job_id"] for each in sent] == [first.job_id, second.job_id]
    # Coordinators of a former version refuse it, whatever it says.
    assert not any("commercial_only" in each for each in sent)


async def test_natural_ids_are_taken_and_those_of_the_stream_refused_before_anything_is_sent(client: Client) -> None:
    handle = await client.submit("echo", {}, job_id="sculpture-1")
    assert handle.job_id == "sculpture-1" and len(await published(client)) == 1
    ours = generated_id(await client.bus.stream_created(client.subjects.jobs_stream), 7)
    with pytest.raises(JobRefused, match="choose another") as refused:
        await client.submit("echo", {}, job_id=ours)
    assert refused.value.field == "job_id" and len(await published(client)) == 1


async def test_one_id_is_stored_once(client: Client) -> None:
    await client.submit("echo", job_id="a")
    await client.submit("echo", job_id="a")
    assert len(await published(client)) == 1


DEEP: Any = 1
for _ in range(40):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("field", "code", "arguments"),
    [
        ("inputs.text_prompt", "invalid_input", {}),
        ("inputs.text_prompt", "too_large", {"inputs": {"text_prompt": "x" * 10_001}}),
        ("inputs.text_prompt", "too_large", {"inputs": {"text_prompt": "x" * 1_000_000}}),
        ("inputs.image_path", "invalid_input", {"inputs": {"text_prompt": "a", "image_path": "/etc/passwd"}}),
        (
            "inputs.image_path.filename",
            "invalid_input",
            {"inputs": {"image_path": {"artifact": "a", "filename": "../x"}}},
        ),
        ("inputs.seed", "invalid_input", {"inputs": {"text_prompt": "a", "seed": math.nan}}),
        ("inputs.seed", "invalid_input", {"inputs": {"text_prompt": "a", "seed": 2**70}}),
        ("inputs.thing", "invalid_input", {"inputs": {"text_prompt": "a", "thing": object()}}),
        ("inputs.thing", "invalid_input", {"inputs": {"text_prompt": "a", "thing": Path("x")}}),
        ("inputs.thing[1]", "invalid_input", {"inputs": {"text_prompt": "a", "thing": [1, b"x"]}}),
        ("inputs", "invalid_input", {"inputs": {"text_prompt": "a", 3: 4}}),
        ("inputs", "invalid_input", {"inputs": {"text_prompt": "a", "deep": DEEP}}),
        ("inputs.text_prompt", "invalid_input", {"inputs": {"text_prompt": "\ud800"}}),
        ("priority", "invalid_input", {"priority": "urgent"}),
        ("job_id", "invalid_input", {"job_id": "no blanks"}),
        ("tenant", "invalid_input", {"tenant": "no blanks"}),
        ("limits.load_s", "invalid_input", {"limits": {"load_s": -1}}),
        ("limits.loud_s", "invalid_input", {"limits": {"loud_s": 1}}),
        ("retry.max_attempts", "invalid_input", {"retry": {"max_attempts": 0}}),
        ("model_preference", "invalid_input", {"model_preference": "No Such"}),
        ("vram_mb", "invalid_input", {"vram_mb": -1}),
        ("subject", "invalid_input", {"feature": "Text.To.Mesh"}),
        ("inputs.text_prompt", "invalid_input", {"files": {"text_prompt": "cat.png"}}),
        ("metadata.blob", "too_large", {"inputs": {"text_prompt": "a"}, "metadata": {"blob": "x" * 300_000}}),
    ],
)
async def test_refused_before_anything_is_sent(
    client: Client, field: str, code: str, arguments: dict[str, Any]
) -> None:
    arguments = dict(arguments)
    feature = arguments.pop("feature", "text_to_mesh")
    if field not in ("inputs.text_prompt",) and "inputs" not in arguments:
        arguments["inputs"] = {"text_prompt": "a"}
    with pytest.raises(JobRefused) as caught:
        await client.submit(feature, **arguments)
    assert (caught.value.field, caught.value.code) == (field, FailureCode(code))
    assert str(caught.value).startswith(f"{field}: ")
    assert await published(client) == []


async def test_over_the_server_s_own_limit_is_refused_with_the_field() -> None:
    bus = MemoryBus(MemoryServer(max_payload=4096))
    client = Client(bus)
    await bus.ensure(build(client.subjects, TopologySettings()))
    with pytest.raises(JobRefused, match="takes messages of at most 4096") as caught:
        await client.submit("echo", {"small": 1, "long": "x" * 5000})
    assert caught.value.field == "inputs.long"
    assert caught.value.code is FailureCode.TOO_LARGE
    await bus.close()


async def test_files_become_artifacts(client: Client, tmp_path: Path) -> None:
    cat, dog, mesh = tmp_path / "cat..é.png", tmp_path / "dog.png", tmp_path / "m.glb"
    cat.write_bytes(b"cat")
    dog.write_bytes(b"dog")
    mesh.write_bytes(b"")
    await client.submit(
        "image_to_mesh",
        {"image_paths": [cat, {"inline": "YQ==", "filename": "a.png"}, dog], "seed": 1},
        files={"mesh_path": str(mesh), "more_paths": [dog, str(cat)]},
    )
    [stored] = await published(client)

    def reference(data: bytes, name: str) -> dict[str, str]:
        return {"artifact": f"sha256-{hashlib.sha256(data).hexdigest()}", "filename": name}

    first, second = reference(b"cat", "cat.é.png"), reference(b"dog", "dog.png")
    assert json.loads(stored.data)["inputs"] == {
        "image_paths": [first, {"inline": "YQ==", "filename": "a.png"}, second],
        "seed": 1,
        "mesh_path": reference(b"", "m.glb"),
        "more_paths": [second, first],
    }
    assert stored.headers["P3d-Input-Bytes"] == str(4 * 3), "those that are uploaded, each as often as it is named"
    info = await client.bus.get_object(client.subjects.inputs_bucket, first["artifact"], tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"cat"
    assert info.headers == {"filename": "cat.é.png"}


async def test_upload_of_fifty_megabytes(client: Client, tmp_path: Path) -> None:
    big = tmp_path / "big.glb"
    big.write_bytes(bytes(range(256)) * 200_000)
    handle = await client.submit("mesh_segmentation", {"mesh_path": big})
    again = await client.submit("mesh_segmentation", {"mesh_path": big})
    assert handle.job_id != again.job_id
    [first, second] = [json.loads(s.data)["inputs"]["mesh_path"] for s in await published(client)]
    assert first == second
    info = await client.bus.object_info(client.subjects.inputs_bucket, first["artifact"])
    assert info is not None
    assert info.size == 51_200_000


async def test_local_file_that_is_not_there(client: Client, tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match=r"inputs\.image_path: cannot read .*nope\.png: No such file") as caught:
        await client.submit("image_to_mesh", {"image_path": tmp_path / "nope.png"})
    assert caught.value.field == "inputs.image_path"


async def test_file_given_twice(client: Client, tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match="given twice"):
        await client.submit("image_to_mesh", {"image_path": tmp_path / "a"}, files={"image_path": "b"})


async def test_several_files_under_a_key_for_one(client: Client) -> None:
    with pytest.raises(JobRefused, match="takes one file; several go under image_paths"):
        await client.submit("image_to_mesh", files={"image_path": ["a", "b"]})


async def test_bad_job_uploads_nothing(client: Client, tmp_path: Path) -> None:
    cat = tmp_path / "cat.png"
    cat.write_bytes(b"cat")
    with pytest.raises(JobRefused):
        await client.submit("image_to_mesh", {"image_path": cat, "seed": math.inf})
    name = f"sha256-{hashlib.sha256(b'cat').hexdigest()}"
    assert await client.bus.object_info(client.subjects.inputs_bucket, name) is None


async def test_artifact_that_is_not_there(client: Client) -> None:
    with pytest.raises(JobRefused, match="no artifact 'sha256-00' in") as caught:
        await client.submit("image_to_mesh", {"image_paths": [{"artifact": "sha256-00"}]})
    assert caught.value.field == "inputs.image_paths[0].artifact"
    assert caught.value.code is FailureCode.ARTIFACT_MISSING
    assert await published(client) == []


@pytest.mark.e2e
async def test_artifact_that_goes_before_the_job_may_end(server: EmbeddedServer, namespace: str) -> None:
    async with Client.connect(server.url, namespace=namespace) as client:
        await client.bus.ensure(build(client.subjects, TopologySettings(inputs_max_age_s=600)))
        await client.bus.put_object(client.subjects.inputs_bucket, "mine", b"x")
        reference = {"image_path": {"artifact": "mine"}}
        with pytest.raises(JobRefused, match=r"kept for \d+ s more and the job may take 4500 s") as caught:
            await client.submit("image_to_mesh", reference)
        assert caught.value.field == "inputs.image_path.artifact"
        await client.submit("image_to_mesh", reference, limits={"start_to_close_s": 300, "load_s": 60})


async def test_artifact_that_is_there(client: Client) -> None:
    await client.bus.put_object(client.subjects.inputs_bucket, "mine", b"x")
    await client.submit("image_to_mesh", {"image_path": {"artifact": "mine"}})
    assert len(await published(client)) == 1


async def test_server_without_the_streams(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(bus, MemoryBus):
        pytest.skip("it has no JetStream API that could say whether streams are missing or JetStream is")
    monkeypatch.setattr("pocket3d.bus.client.retry.NO_STREAM_S", 0.3)
    with pytest.raises(NotSetUp, match=r"no stream takes other\.jobs\.normal\.echo: is this the right server"):
        await Client(bus, "other").submit("echo")


async def test_full_queue(bus: Bus, namespace: str) -> None:
    client = Client(bus, namespace)
    await bus.ensure(build(client.subjects, TopologySettings(jobs_max_msgs=2)))
    await client.submit("echo")
    await client.submit("echo")
    with pytest.raises(QueueFull, match="takes no more jobs now"):
        await client.submit("echo")


async def test_lost_answer_is_asked_again_under_the_same_id() -> None:
    server = MemoryServer()
    bus = MemoryBus(server)
    client = Client(bus)
    await bus.ensure(build(client.subjects, TopologySettings()))
    losses = 2

    def lose(subject: str) -> bool:
        nonlocal losses
        losses -= 1
        return losses >= 0

    server.lose_answer = lose
    await client.submit("echo")
    assert losses == -1
    assert len(await published(client)) == 1
    server.lose_answer = lambda subject: True
    with pytest.raises(OutcomeUnknown):
        await client.submit("echo", timeout=0.1)
    await bus.close()


def test_job_id_is_judged_before_it_gets_into_a_subject() -> None:
    class Never:
        def on_connection(self, callback: object) -> None: ...

    with pytest.raises(ValueError, match=r"job id 'a\.b'"):
        Client(Never()).job("a.b")  # type: ignore[arg-type]


async def test_a_file_is_uploaded_once_and_referred_to(client: Client, tmp_path: Path) -> None:
    photo = tmp_path / "my cat.png"
    photo.write_bytes(b"cat")
    reference = await client.upload(photo)
    digest = hashlib.sha256(b"cat").hexdigest()
    assert reference == {"artifact": f"sha256-{digest}", "filename": "my cat.png"}
    first = await client.bus.object_info(client.subjects.inputs_bucket, reference["artifact"])
    assert first is not None
    assert (first.size, first.headers) == (3, {"filename": "my cat.png"})
    assert await client.upload(str(photo)) == reference
    assert await client.bus.object_info(client.subjects.inputs_bucket, reference["artifact"]) == first
    with pytest.raises(FileNotFoundError):
        await client.upload(tmp_path / "nothing.png")


async def test_a_number_of_an_enumeration_is_sent_as_a_number(client: Client) -> None:
    class Detail(enum.IntEnum):
        HIGH = 3

    # Looked for in a `range`, a number that is not exactly an int is compared with every one of its members.
    await asyncio.wait_for(client.submit("echo", {"detail": Detail.HIGH}), 20)
    [stored] = await published(client)
    assert json.loads(stored.data)["inputs"] == {"detail": 3}


def nested(depth: int, leaf: Any = 1) -> Any:
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


async def test_the_deepest_that_is_taken_and_one_level_more(client: Client) -> None:
    # The request itself is one level.
    await client.submit("echo", {}, job_id="deepest", metadata=nested(MAX_DEPTH - 1))
    with pytest.raises(JobRefused, match="nested more than"):
        await client.submit("echo", {}, job_id="deeper", metadata=nested(MAX_DEPTH))
    endless: dict[str, Any] = {}
    endless["a"] = endless
    with pytest.raises(JobRefused, match="nested more than"):
        await client.submit("echo", endless)
    assert [each.headers["Nats-Msg-Id"] for each in await published(client)] == ["deepest"]


async def test_what_is_left_out_is_not_sent(client: Client) -> None:
    await client.submit("echo", {}, job_id="bare")
    [stored] = await published(client)
    assert json.loads(stored.data) == {"v": 1, "job_id": "bare", "inputs": {}}
