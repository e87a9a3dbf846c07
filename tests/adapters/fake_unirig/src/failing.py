"""Ways to fail, asked for by FAKE_UNIRIG."""

import os
import subprocess
import sys
import time
from pathlib import Path


def mode_of(step):
    asked = dict(each.split(":") for each in os.environ.get("FAKE_UNIRIG", "").split(",") if each)
    return asked.get(step)


def maybe(step, target):
    """Fail as asked; True where the caller is to go on as if all were well, without writing."""
    mode = mode_of(step)
    if mode == "crash":
        raise RuntimeError(f"CUDA error in {step}")
    if mode == "killed":
        os.kill(os.getpid(), 9)
    if mode == "silent":
        print(f"\033[31mError found when processing {target}: failed\033[0m")
        return True
    if mode == "garbage":
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_bytes(b"PK\x03\x04 not an archive")
        return True
    if mode == "hang":
        # What it starts ignores a polite end, as a stuck loader of data does.
        child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
            ]
        )
        Path(os.environ["FAKE_UNIRIG_PIDS"]).write_text(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    return False
