"""A worker without adapters, put in the place of `pocket3d.adapters.worker`: does what a job's inputs or its spec's
config tell it. With FAKE_STUBBORN it does not exit when its agent is gone; it never sets PR_SET_PDEATHSIG.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.contracts.worker_frames import (
    PROTOCOL,
    SOCKET_FD_VARIABLE,
    AdapterDescription,
    AdapterSpec,
    Frame,
    FrameReader,
    Hello,
    LoadModel,
    ModelLoaded,
    RunFinished,
    RunJob,
    RunProgress,
    Shutdown,
    pack,
)


class Worker:
    def __init__(self) -> None:
        self.socket = socket.socket(fileno=int(os.environ[SOCKET_FD_VARIABLE]))
        self.eaten: list[bytearray] = []

    def send(self, *frames: Frame) -> None:
        self.socket.sendall(b"".join(pack(frame) for frame in frames))

    def main(self) -> None:
        env = os.environ
        self.send(Hello(protocol=int(env.get("FAKE_PROTOCOL", PROTOCOL)), pid=os.getpid(), python=sys.version))
        reader = FrameReader(from_worker=False)
        while data := self.socket.recv(65536):
            for frame in reader.feed(data):
                if isinstance(frame, LoadModel):
                    self.load(frame)
                elif isinstance(frame, RunJob):
                    self.run(frame)
                elif isinstance(frame, Shutdown):
                    return
        while env.get("FAKE_STUBBORN"):
            signal.pause()

    def load(self, frame: LoadModel) -> None:
        if "on_load" in frame.spec.config:
            self.act(frame.spec.config["on_load"], frame.spec.config)
        told = {"device": frame.device, "kind": frame.device_kind, "vram_mb": frame.vram_mb}
        print("loading", json.dumps(told), flush=True)
        self.send(ModelLoaded(load_s=0.0))

    def run(self, frame: RunJob) -> None:
        outputs = self.act(frame.inputs["do"], frame.inputs, frame.run_id)
        self.send(RunFinished(run_id=frame.run_id, outputs=outputs or {}, files=[], run_s=0.0))
        if frame.inputs["do"] == "finish_and_die":
            os._exit(0)

    def act(self, do: str, inputs: dict[str, Any], run_id: str = "") -> dict[str, Any] | None:
        if do == "look":
            return {
                "env": dict(os.environ),
                "cwd": str(Path.cwd()),
                "sid": os.getsid(0),
                "pgid": os.getpgid(0),
                "argv": sys.argv,
                "path": sys.path,
                "fds": [int(entry.name) for entry in Path("/proc/self/fd").iterdir()],
                "oom_score_adj": Path("/proc/self/oom_score_adj").read_text().strip(),
            }
        if do == "print":
            stream = sys.stderr if inputs.get("stderr") else sys.stdout
            print(inputs["text"], file=stream, flush=True)
        elif do == "binary":
            os.write(1, bytes(range(256)) * 50)
            os.write(1, b"\nafter the garbage\n")
        elif do == "endless":
            block = b"x" * 65536
            for _ in range(inputs["blocks"]):
                os.write(1, block)
        elif do == "flood_lines":
            for index in range(inputs["lines"]):
                os.write(1, b"line %d\n" % index)
        elif do == "flood_frames":
            for index in range(inputs["frames"]):
                self.send(RunProgress(run_id=run_id, fraction=index / inputs["frames"]))
        elif do == "die":
            print("about to die", file=sys.stderr, flush=True)
            os._exit(inputs["status"])
        elif do == "signal":
            print("about to be killed", flush=True)
            os.kill(os.getpid(), inputs["signal"])
            time.sleep(60)
        elif do == "child":
            # Inherits stdout, stderr and the socket, as a careless library's child does.
            child = subprocess.Popen(["sleep", "600"], close_fds=False)
            return {"child": child.pid}
        elif do == "daemon":
            env: dict[str, str] | None = {} if inputs.get("bare") else None
            daemon = subprocess.Popen(["sleep", "600"], close_fds=False, start_new_session=True, env=env)
            return {"child": daemon.pid}
        elif do == "eat":
            self.eaten.append(bytearray(os.urandom(1024) * (1024 * inputs["mb"])))
        elif do == "eat_in_child":
            code = (
                f"x = bytearray(b'1') * ({inputs['mb']} << 20); import time; print('ate', flush=True); time.sleep(600)"
            )
            subprocess.Popen([sys.executable, "-c", code])
        elif do == "rename":
            # As prctl(PR_SET_NAME) does, which cuts a name after 15 bytes, be it in the middle of a letter.
            Path("/proc/self/comm").write_bytes("диффузия".encode()[:15])
        elif do == "ignore_sigterm":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif do == "deaf":
            self.send(RunFinished(run_id=run_id, outputs={}, files=[], run_s=0.0))
            while True:
                signal.pause()
        elif do == "garbage":
            self.socket.sendall(b"\x00\x00\x00\x03\xc1\xc1\xc1")
            while True:
                signal.pause()
        elif do == "hang_up":
            self.socket.close()
            while True:
                signal.pause()
        elif do == "write_file":
            (Path(os.environ["TMPDIR"]) / "scratch").write_text("x")
        return None


def describe(fd: int) -> None:
    specs = msgspec.json.decode(sys.stdin.buffer.read(), type=list[AdapterSpec])
    answers = []
    for spec in specs:
        mode = spec.config.get("describe", "fine")
        if mode == "crash":
            print("Traceback: no weights\nboom", file=sys.stderr, flush=True)
            os._exit(3)
        elif mode == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif mode == "hang":
            subprocess.Popen(["sleep", "600"])
            Path(spec.config["pid_file"]).write_text(str(os.getpid()))
            time.sleep(600)
        elif mode == "no_msgspec":
            raise ModuleNotFoundError("No module named 'msgspec'")
        elif mode == "omit":
            continue
        elif mode == "nonsense":
            os.write(fd, b'{"not": "a list"}')
            os._exit(0)
        elif mode == "daemon":
            subprocess.Popen(["sleep", "600"], close_fds=False)
        elif mode == "daemon_of_its_own_session":
            daemon = subprocess.Popen(["sleep", "600"], start_new_session=True)
            Path(spec.config["pid_file"]).write_text(str(daemon.pid))
        answers.append(
            AdapterDescription(
                adapter_id=spec.adapter_id,
                available=True,
                feature="echo",
                vram_mb=len(specs),
                parameters={
                    "pid": os.getpid(),
                    "env": os.environ.get("MARK"),
                    "cuda": os.environ["CUDA_VISIBLE_DEVICES"],
                },
            )
        )
    os.write(fd, msgspec.json.encode(answers))


if "--describe" in sys.argv:
    describe(int(sys.argv[sys.argv.index("--answer-fd") + 1]))
elif __name__ == "__main__":
    Worker().main()
