"""`ModelScheduler`: models of this very program, through a whole system."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from pocket3d.adapters.echo import EchoAdapter
from pocket3d.bus.client.errors import ApiRefused, JobRefused, WaitTimeout
from pocket3d.ops.scheduler import CannotStart, GPUMonitor, JobRequest, ModelScheduler, NoModel
from support.copying import CopyingAdapter, GpuOnlyAdapter, SizedAdapter, TermsAdapter

WAIT_S = 60.0


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[ModelScheduler]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    made = ModelScheduler(GPUMonitor(devices="cpu:4000"), outputs=tmp_path / "results", drain_s=0.5)
    made.register_model(EchoAdapter())
    async with made:
        yield made
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


async def test_files_go_up_and_come_back_as_local_paths(scheduler: ModelScheduler, tmp_path: Path) -> None:
    model = CopyingAdapter()
    assert scheduler.register_model(model) == scheduler.register_model(model) == "copying"
    front, side = tmp_path / "front.png", tmp_path / "side.png"
    front.write_bytes(b"\x89PNG front")
    side.write_bytes(b"\x89PNG the side")
    job = JobRequest("image_to_mesh", {"image_paths": [str(front), side]}, "high", job_id="mine", metadata={"order": 7})
    assert await scheduler.schedule_job(job) == "mine"
    result = await scheduler.wait("mine", WAIT_S)
    assert (result.status, result.adapter_id, result.metadata) == ("succeeded", "copying", {"order": 7}), result.error
    folder = tmp_path / "results" / "mine"
    assert result.outputs == {
        "success": True,
        "output_mesh_path": str(folder / "copy-0.png"),
        "preview_paths": [str(folder / "copy-0.png"), str(folder / "copy-1.png")],
        "parts": [{"mesh_path": str(folder / f"copy-{n}.png"), "name": f"copy-{n}.png"} for n in (0, 1)],
        "comment": "copy-0.png",
        "seen": 10,
    }
    assert [(folder / f"copy-{n}.png").read_bytes() for n in (0, 1)] == [front.read_bytes(), side.read_bytes()]
    assert (await scheduler.wait("mine", WAIT_S)).outputs == result.outputs

    with pytest.raises(JobRefused, match=r"image_path: cannot read .*none\.png"):
        await scheduler.schedule_job(JobRequest("image_to_mesh", {"image_path": str(tmp_path / "none.png")}))


async def test_a_job_may_name_its_models_variant(scheduler: ModelScheduler, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    scheduler.register_model(SizedAdapter())

    def asking(variant: str | None, preference: str | None = None) -> JobRequest:
        inputs = {"image_path": tmp_path / "a.png"}
        return JobRequest("image_to_mesh", inputs, model_preference=preference, variant=variant)

    for variant, expected in (("512", "512"), (None, "1024")):
        result = await scheduler.wait(await scheduler.schedule_job(asking(variant)), WAIT_S)
        assert (result.status, result.variant) == ("succeeded", expected), result.error
    scheduler.register_model(CopyingAdapter())
    with pytest.raises(NoModel, match=r"image_to_mesh has a variant 2048: sized has 512, 1024, copying has none"):
        await scheduler.schedule_job(asking("2048"))
    with pytest.raises(NoModel, match=r"has a variant 512: copying has none"):
        await scheduler.schedule_job(asking("512", "copying"))


async def test_what_cannot_be_is_said(scheduler: ModelScheduler, tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    image.write_bytes(b"\x89PNG")
    scheduler.register_model(TermsAdapter(model_id="terms"))
    scheduler.register_model(GpuOnlyAdapter(model_id="gpu-only"))
    scheduler.register_model(CopyingAdapter(model_id="huge", vram_requirement=9000))
    with pytest.raises(ValueError, match="registered already"):
        scheduler.register_model(CopyingAdapter(model_id="huge"))
    with pytest.raises(TypeError, match="no adapter"):
        scheduler.register_model("copying")  # type: ignore[arg-type]

    async def ask(preference: str) -> str:
        request = JobRequest("image_to_mesh", {"image_path": image}, model_preference=preference)
        return await scheduler.schedule_job(request)

    with pytest.raises(NoModel, match=r"text_to_mesh; registered: echo \(echo\), terms \(image_to_mesh\)"):
        await scheduler.schedule_job(JobRequest("text_to_mesh", {"text_prompt": "x"}))
    with pytest.raises(NoModel, match="called echo"):
        await ask("echo")
    terms = await scheduler.wait(await ask("terms"), WAIT_S)
    assert terms.error is not None and (terms.status, terms.error.code) == ("failed", "adapter_unavailable")
    assert "accept_license" in terms.error.message and "not on Mondays" in terms.error.message
    with pytest.raises(CannotStart, match="gpu-only: runs on cuda, there is no such device here"):
        await scheduler.wait(await ask("gpu-only"))
    with pytest.raises(CannotStart, match="huge needs 9000 MB, cpu-0 has 4000 MB") as caught:
        await scheduler.wait(await ask("huge"), WAIT_S)
    assert [reason.short_mb for reason in caught.value.reasons] == [5000]
    with pytest.raises(ApiRefused, match="nobody"):
        await scheduler.wait("nobody")

    scheduler.register_model(TermsAdapter(model_id="agreed"), accept_license=True)
    assert (await scheduler.wait(await ask("agreed"), WAIT_S)).status == "succeeded"


async def test_a_server_that_dies_is_started_again_and_the_job_goes_on(scheduler: ModelScheduler) -> None:
    job_id = await scheduler.schedule_job(JobRequest("echo", {"sleep_s": 1.0}))
    async for progress in scheduler.client.job(job_id).progress():
        if progress.stage == "sleeping":
            break
    port = int(scheduler.url.rpartition(":")[2])
    (server,) = (
        each
        for each in psutil.Process().children()
        if "nats-server" in each.name()
        and port in {found.laddr.port for found in each.net_connections() if found.laddr}
    )
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(WaitTimeout, match=r"no result after 0\.1 s"):
        await scheduler.wait(job_id, 0.1)
    result = await scheduler.wait(job_id, WAIT_S)
    assert (result.status, result.attempt) == ("succeeded", 1)


async def test_a_store_keeps_results_and_waiting_jobs_for_the_next_start(tmp_path: Path) -> None:
    scheduler = ModelScheduler(
        GPUMonitor(devices="cpu:4000@1"), outputs=tmp_path, store=tmp_path / "store", drain_s=0.0
    )
    with pytest.raises(RuntimeError, match="not started"):
        await scheduler.schedule_job(JobRequest("echo", {}))
    scheduler.register_model(EchoAdapter())
    await scheduler.start()
    await scheduler.start()
    done = await scheduler.schedule_job(JobRequest("echo", {"x": 1}))
    assert (await scheduler.wait(done, WAIT_S)).status == "succeeded"
    long = await scheduler.schedule_job(JobRequest("echo", {"sleep_s": 1.5}))
    async for _ in scheduler.client.job(long).progress():
        break
    waiting = await scheduler.schedule_job(JobRequest("echo", {"x": 2}))
    await scheduler.stop()
    await scheduler.stop()
    async with scheduler:
        first, second, third = [await scheduler.wait(job, WAIT_S) for job in (done, long, waiting)]
    assert first.outputs == {"success": True, "inputs": {"x": 1}}
    assert (second.status, third.status) == ("succeeded", "succeeded")
