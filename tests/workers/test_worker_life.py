"""Workers as real processes: what they find around them, how they end, and what is told of it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from pocket3d.contracts.worker_frames import AdapterSpec, Hello, ModelLoaded, RunFinished, RunProgress, Shutdown
from pocket3d.gpu_agents.devices.spec import CpuPart, DeviceSpec, cpu_device
from pocket3d.gpu_agents.workers.launch import ExitFacts, WorkerLaunch, describe_exit

from .conftest import Workers, alive, until

GPU = DeviceSpec(
    id="GPU-1", kind="cuda", name="x", total_mb=1, buffer_mb=0, simulated=False, visible="GPU-1", max_running=None
)


async def test_a_worker_says_hello_loads_runs_and_shuts_down(workers: Workers) -> None:
    pid = await workers.start()
    (hello,) = workers.seen(Hello)
    assert hello.pid == pid == workers.host.pid("w")
    await workers.run("print", text="hi")
    assert await workers.host.send("w", Shutdown())
    told = await workers.exit()
    assert (told.pid, told.returncode, told.asked, told.word) == (pid, 0, True, "worker_ended")
    assert [type(entry[1]) for entry in workers.story[:-1]] == [Hello, ModelLoaded, RunFinished]
    await until(lambda: workers.host.pid("w") is None)
    assert await workers.send("print", text="to nobody") is False


async def test_what_a_worker_finds_around_it(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, namespace: Path
) -> None:
    for name in ("NATS_URL", "NATS_PASSWORD", "NATS_CREDS", "POCKET3D_TOKEN"):
        monkeypatch.setenv(name, "s3cret-value")
    monkeypatch.setenv("PYTHONPATH", "/agents/own")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("HF_HOME", "/weights")
    monkeypatch.setenv("POCKET3D_WORKER_JOURNAL", str(workers.folder))
    env = {"MODEL_FLAG": "on", "PYTHONPATH": "/repo", "CUDA_VISIBLE_DEVICES": "7"}
    pid = await workers.start(device=GPU, env=env, path=["/extra"])
    seen = await workers.run("look")
    found = seen["env"]
    assert "s3cret-value" not in json.dumps([found, seen["argv"]])
    assert found["CUDA_VISIBLE_DEVICES"] == "GPU-1"
    assert (found["HF_HOME"], found["MODEL_FLAG"]) == ("/weights", "on")
    assert found["POCKET3D_WORKER_JOURNAL"] == str(workers.folder)
    assert found["PYTHONPATH"] == os.pathsep.join([str(namespace), "/extra", "/repo"])
    assert "/agents/own" not in seen["path"]
    work = workers.folder / "run" / "w"
    assert (seen["cwd"], found["TMPDIR"]) == (str(work), str(work / "tmp"))
    assert seen["sid"] == seen["pgid"] == pid
    assert seen["oom_score_adj"] == "500"
    # stdin, stdout, stderr, the socket, and the listing itself: nothing of the agent's own.
    assert len(seen["fds"]) == 5


async def test_simulated_and_cpu_devices_hide_every_gpu(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    await workers.start("sim")
    await workers.start("cpu", device=cpu_device(CpuPart(1000), 0, None))
    for name in ("sim", "cpu"):
        assert (await workers.run("look", name))["env"]["CUDA_VISIBLE_DEVICES"] == ""


async def test_the_working_directory_goes_with_the_worker(workers: Workers) -> None:
    await workers.start()
    await workers.run("write_file")
    work = workers.folder / "run" / "w"
    assert (work / "tmp" / "scratch").exists()
    await workers.host.stop("w")
    await workers.exit()
    assert not work.exists()


async def test_a_crash_tells_its_status_and_last_words(workers: Workers) -> None:
    await workers.start()
    await workers.send("die", status=3)
    told = await workers.exit()
    assert (told.returncode, told.asked, told.code, told.word) == (3, False, "worker_crashed", "worker_crashed")
    assert "exited with status 3" in told.message and "about to die" in told.message
    assert told.last_lines[-1] == "about to die"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
async def test_a_signal_is_named(workers: Workers, number: signal.Signals) -> None:
    await workers.start()
    await workers.send("signal", signal=int(number))
    told = await workers.exit()
    assert (told.returncode, told.code) == (-number, "worker_crashed")
    assert f"was killed by {number.name}" in told.message
    assert ("memory runs out" in told.message) == (number is signal.SIGKILL)


async def test_a_crash_during_the_load_is_told_too(workers: Workers) -> None:
    await workers.start(loaded=False, config={"on_load": "die", "status": 9})
    told = await workers.exit()
    assert told.returncode == 9 and told.code == "worker_crashed"
    assert not workers.seen(ModelLoaded)


async def test_every_frame_comes_before_the_exit(workers: Workers) -> None:
    for index in range(5):
        name = f"w{index}"
        await workers.start(name)
        await workers.send("finish_and_die", name)
        # Frames to a dying worker must not cost those it sent before.
        await workers.send("print", name, run="late", text="x" * 100_000)

        def exited(name: str = name) -> bool:
            return any(told.worker_id == name for told in workers.exits())

        await until(exited)
        assert [f.run_id for f in workers.seen(RunFinished, name)][:1] == ["r1"]
        assert workers.story[-1].worker_id == name


async def test_children_die_with_the_worker_even_if_they_hold_its_socket_and_pipes(workers: Workers) -> None:
    await workers.start()
    child = (await workers.run("child"))["child"]
    assert alive(child)
    began = time.monotonic()
    await workers.send("die", run="r2", status=1)
    await workers.exit()
    assert not alive(child)
    assert time.monotonic() - began < 4.0


async def test_terminate_reaches_the_group_and_kill_ends_what_ignores_it(workers: Workers) -> None:
    await workers.start()
    child = (await workers.run("child"))["child"]
    await workers.run("ignore_sigterm", run="r2")
    await workers.host.stop("w")
    await until(lambda: not alive(child))
    assert (await workers.run("look", run="r3"))["sid"] and not workers.exits()
    await workers.host.stop("w", kill=True)
    told = await workers.exit()
    assert (told.returncode, told.asked) == (-signal.SIGKILL, True)
    await workers.host.stop("w", kill=True)
    await workers.host.stop("never was there")


async def test_a_stopped_process_can_be_killed(workers: Workers) -> None:
    pid = await workers.start()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    await workers.host.stop("w", kill=True)
    assert (await workers.exit()).returncode == -signal.SIGKILL


async def test_one_worker_dies_and_the_others_go_on(workers: Workers) -> None:
    await workers.start("a")
    await workers.start("b")
    await workers.send("signal", "a", signal=int(signal.SIGSEGV))
    await workers.exit()
    await workers.run("print", "b", text="still here")
    assert [told.worker_id for told in workers.exits()] == ["a"]


async def test_a_missing_interpreter_is_told_as_an_exit(workers: Workers) -> None:
    assert await workers.start(loaded=False, python="/nowhere/bin/python") is None
    told = await workers.exit()
    assert (told.pid, told.returncode, told.code) == (None, None, "adapter_unavailable")
    assert "/nowhere/bin/python" in told.message and "models.yaml" in told.message
    # The id is free again. (It never had a process, so that its pid tells nothing.)
    await until(lambda: "w" not in workers.host._workers)
    await workers.start()


async def test_an_interpreter_without_msgspec_is_told(workers: Workers) -> None:
    bare = workers.folder / "bare-python"
    # -S: no site-packages, as in a model's environment where nobody installed msgspec.
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    await workers.start(loaded=False, python=str(bare))
    told = await workers.exit()
    assert told.code == "adapter_unavailable" and "needs msgspec" in told.message and "No module named" in told.message


async def test_another_protocol_is_refused_clearly(workers: Workers) -> None:
    await workers.start(loaded=False, env={"FAKE_PROTOCOL": "99"})
    told = await workers.exit()
    assert told.code == "adapter_unavailable"
    assert "speaks protocol 99, this agent speaks 1" in told.message
    assert not workers.seen(Hello)


async def test_garbage_on_the_socket_ends_the_worker(workers: Workers) -> None:
    await workers.start()
    await workers.send("garbage")
    told = await workers.exit()
    assert (told.code, told.returncode) == ("worker_crashed", -signal.SIGKILL)
    assert "wrote to the worker's socket" in told.message


async def test_a_worker_that_hangs_up_is_ended(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocket3d.gpu_agents.workers.process.LINGER_S", 0.2)
    await workers.start()
    await workers.send("hang_up")
    assert (await workers.exit()).returncode == -signal.SIGKILL


async def test_send_waits_while_the_worker_does_not_read_and_ends_when_it_is_killed(workers: Workers) -> None:
    await workers.start()
    await workers.run("deaf")
    stuck = [asyncio.ensure_future(workers.send("print", run=f"r{n}", text="x" * 500_000)) for n in range(3)]
    done, _ = await asyncio.wait(stuck, timeout=0.3)
    assert not done
    # Giving up does not tear a frame in two.
    stuck[0].cancel()
    await workers.host.stop("w", kill=True)
    await workers.exit()
    assert await asyncio.gather(*stuck[1:]) == [False, False]


async def test_a_flood_of_frames_leaves_the_loop_free_and_loses_no_result(workers: Workers) -> None:
    await workers.start()
    await workers.start("other")
    beats = 0
    longest = 0.0

    async def beat() -> None:
        nonlocal beats, longest
        while True:
            began = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - began)
            beats += 1

    heart = asyncio.create_task(beat())
    flood = asyncio.create_task(workers.run("flood_frames", frames=50_000))
    await workers.run("look", "other")
    assert not flood.done()
    await flood
    heart.cancel()
    progress = workers.seen(RunProgress)
    # Frames that came together were handled as one, in order, and the result came last.
    assert 0 < len(progress) < 50_000
    assert [f.fraction for f in progress] == sorted(f.fraction for f in progress)
    assert longest < 2.0 and beats > 100


async def test_the_memory_limit_kills_and_says_out_of_memory(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocket3d.gpu_agents.workers.process.MEMORY_CHECK_S", 0.05)
    await workers.start("fine", memory_limit_mb=400)
    await workers.start(memory_limit_mb=150)
    await workers.send("eat_in_child", mb=300)
    told = await workers.exit()
    assert (told.worker_id, told.code) == ("w", "out_of_memory")
    assert "its limit is 150 MB" in told.message
    await workers.run("eat", "fine", mb=50)
    assert len(workers.exits()) == 1


async def test_the_memory_limit_holds_for_a_worker_whose_name_is_no_text(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocket3d.gpu_agents.workers.process.MEMORY_CHECK_S", 0.05)
    await workers.start(memory_limit_mb=150)
    await workers.run("rename")
    await workers.send("eat_in_child", mb=300)
    told = await workers.exit()
    assert (told.worker_id, told.code) == ("w", "out_of_memory")


def test_a_worker_without_a_folder_is_told_as_the_hosts_trouble() -> None:
    device = DeviceSpec(id="cpu-0", kind="cpu", name="", total_mb=1024, buffer_mb=0)
    spec = AdapterSpec(adapter_id="a", class_path="x.Y")
    launch = WorkerLaunch(spec=spec, device=device, vram_mb=16, work_dir="/agents/w")
    full = OSError(errno.ENOSPC, "No space left on device", "/agents/w/tmp")
    many = OSError(errno.EMFILE, "Too many open files")
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "/opt/python")
    told = [
        describe_exit(ExitFacts(spawn_error=error), "w", None, "/opt/python", launch, []).message
        for error in (full, many, gone)
    ]
    assert "/agents/w/tmp: No space left on device" in told[0] and "--work-dir" in told[0]
    assert "Too many open files" in told[1] and "open files" in told[1]
    assert not any("models.yaml" in each for each in told[:2])
    assert "models.yaml" in told[2]


async def test_a_callback_that_fails_ends_its_worker_and_is_seen(workers: Workers) -> None:
    problems: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(str(context["exception"])))

    def fail(worker_id: str, frame: object) -> None:
        raise RuntimeError("a bug of the agent")

    pid = await workers.host.start("w", workers.launch(), fail, workers.story.append)
    assert pid is not None
    workers.pids.append(pid)
    told = await workers.exit()
    assert told.returncode == -signal.SIGKILL
    await until(lambda: workers.host.pid("w") is None)
    import gc

    gc.collect()
    await until(lambda: problems == ["a bug of the agent"])


async def test_closing_the_host_ends_everything_and_refuses_more(workers: Workers) -> None:
    await workers.start("a")
    await workers.start("b")
    child = (await workers.run("child", "a"))["child"]
    await workers.run("ignore_sigterm", "b")
    began = time.monotonic()
    await workers.host.aclose(grace_s=0.3)
    assert time.monotonic() - began < 3.0
    assert {told.worker_id for told in workers.exits()} == {"a", "b"}
    assert not alive(child) and not any(alive(pid) for pid in workers.pids)
    with pytest.raises(RuntimeError, match="closing"):
        await workers.start("c")


async def test_an_id_in_use_is_refused(workers: Workers) -> None:
    await workers.start()
    with pytest.raises(ValueError, match="'w' is there already"):
        await workers.start()


async def test_a_stop_that_overtakes_the_start_is_kept(workers: Workers) -> None:
    starting = asyncio.create_task(workers.start(loaded=False))
    await asyncio.sleep(0)
    await workers.host.stop("w")
    await starting
    told = await workers.exit()
    assert (told.returncode, told.asked) == (-signal.SIGTERM, True)


async def test_a_start_that_is_given_up_still_ends_with_the_host(workers: Workers) -> None:
    starting = asyncio.create_task(workers.start(loaded=False))
    await asyncio.sleep(0)
    starting.cancel()
    await workers.host.aclose(grace_s=0.5)
    (told,) = workers.exits()
    assert told.pid is not None and not alive(told.pid)


async def test_daemons_that_left_the_group_end_with_the_worker_and_not_with_another(workers: Workers) -> None:
    await workers.start("a")
    await workers.start("b")
    ours = [(await workers.run("daemon", "a", run=f"r{n}"))["child"] for n in range(3)]
    other = (await workers.run("daemon", "b"))["child"]
    await workers.send("die", "a", run="r9", status=4)
    assert (await workers.exit()).returncode == 4
    assert not any(alive(each) for each in ours)
    assert alive(other)
    await workers.host.stop("b", kill=True)
    await until(lambda: len(workers.exits()) == 2)
    assert not alive(other)


async def test_a_daemon_with_another_environment_does_not_hold_up_the_exit(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pocket3d.gpu_agents.workers.process.LINGER_S", 0.3)
    await workers.start()
    daemon = (await workers.run("daemon", bare=True))["child"]
    try:
        await workers.send("die", run="r2", status=4)
        assert (await workers.exit()).returncode == 4
        assert alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)
