"""`pocket3d up`: ready, restarted where it dies, and gone without a trace."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from support.command_line import Up, eventually, pocket3d, up


def gone(processes: list[psutil.Process]) -> bool:
    return not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes)


def test_a_job_crosses_it_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with up(tmp_path / "store") as running:
        ran = running.run("submit", "echo", "hello=world", "--wait", "--json")
        assert (ran.code, ran.json["outputs"]["inputs"]) == (0, {"hello": "world"})
        below = running.processes()
        assert len(below) >= 4, "server, coordinator, agent, worker"
        assert running.stop(signal.SIGINT) == 0
        eventually(lambda: gone(below), 5, "all of its processes gone")
        assert "Traceback" not in running.log.read_text()


def test_jobs_and_results_are_there_at_the_next_start_and_the_port_stays(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with up(tmp_path / "store", port=port) as running:
        assert running.url == f"nats://127.0.0.1:{port}"
        assert running.run("submit", "echo", "--job-id", "done", "--wait").code == 0
        assert running.run("submit", "echo", "sleep_s:=30", "--job-id", "interrupted").code == 0
        eventually(lambda: running.run("status", "interrupted", "--json").json["status"] == "running", 10, "it runs")
        waits = ("--job-id", "waiting", "--vram-mb", "100000")
        assert "waiting queued" in running.run("submit", "echo", *waits).out
    with up(tmp_path / "store", port=port) as running:
        assert running.run("result", "done").code == 0
        statuses = {each["job_id"]: each["status"] for each in running.run("jobs", "--json").json_lines}
        assert statuses["done"] == "succeeded"
        assert statuses["interrupted"] in ("queued", "running"), "handed back, and taken up again"
        assert statuses["waiting"] == "queued"


@pytest.mark.parametrize("part", ["nats-server", "coordinator", "agent"])
def test_a_part_that_is_killed_comes_back(tmp_path: Path, part: str) -> None:
    with up(tmp_path / "store") as running:
        assert running.run("submit", "echo", "--job-id", "before", "--wait").code == 0
        victim = running.part(part)
        victim.kill()
        again = eventually(lambda: running.part(part).pid != victim.pid, 20, f"another {part}")
        assert again
        # A killed coordinator's lease and a killed agent's have to run out first.
        ran = running.run("submit", "echo", "--job-id", "after", "--wait", "--timeout", "50")
        assert ran.code == 0, ran
        assert running.run("result", "before").code == 0


def test_killed_itself_it_takes_all_its_processes_with_it(tmp_path: Path) -> None:
    running = Up(tmp_path / "store").ready()
    assert running.run("submit", "echo", "sleep_s:=60", "--job-id", "j").code == 0
    eventually(lambda: len(running.processes()) >= 4, 20, "a worker")
    below = running.processes()
    running.stop(signal.SIGKILL)
    eventually(lambda: gone(below), 10, "all of its processes gone")


def test_a_taken_port_and_a_store_in_use_are_told(tmp_path: Path) -> None:
    with up(tmp_path / "store") as running:
        port = running.url.rsplit(":", 1)[1]
        second = pocket3d("up", "--port", port, "--store", str(tmp_path / "other"))
        assert second.code == 1
        assert f"port {port} on 127.0.0.1 is taken by a nats-server" in second.err
        assert f"-s nats://127.0.0.1:{port}" in second.err
        third = pocket3d("up", "--port", "0", "--store", str(tmp_path / "store"))
        assert third.code == 1
        assert "is in use by nats-server with pid" in third.err
        assert second.out == third.out == ""


def test_a_wrong_configuration_ends_it_with_the_reason(tmp_path: Path) -> None:
    models = tmp_path / "models.yaml"
    models.write_text("adapters:\n  x:\n    klass: a.B\n")
    ran = pocket3d("up", "--port", "0", "--store", str(tmp_path / "store"), "--models", str(models))
    assert ran.code == 2
    assert "klass" in ran.err
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(each.info["cmdline"] or [])
    ]


def test_it_uses_its_own_server_whatever_the_environment_says(tmp_path: Path) -> None:
    with up(tmp_path / "store", NATS_URL="nats://127.0.0.1:1", NATS_USER="nobody") as running:
        assert running.run("agents").code == 0
        assert os.path.isdir(tmp_path / "store" / "nats")  # noqa: PTH112


def test_contexts_for_the_nats_cli_are_written_unless_not_wanted(tmp_path: Path) -> None:
    config = str(tmp_path / "config")
    with up(tmp_path / "store", POCKET3D_CONTEXTS="1", XDG_CONFIG_HOME=config) as running:
        ran = pocket3d("agents", "--context", "pocket3d", XDG_CONFIG_HOME=config)
        assert ran.code == 0, ran
        assert (tmp_path / "config" / "nats" / "context" / "pocket3d-sys.json").stat().st_mode & 0o777 == 0o600
        assert running.url in (tmp_path / "config" / "nats" / "context" / "pocket3d.json").read_text()
    with up(tmp_path / "store", "--no-contexts", POCKET3D_CONTEXTS="1", XDG_CONFIG_HOME=str(tmp_path / "none")):
        assert not (tmp_path / "none").exists()
