"""Real worker processes for tests, driven by the check kit. Blocking, with deadlines."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from pocket3d.adapters.kit.checked_process import CheckedWorker
from pocket3d.contracts.worker_frames import JOURNAL_VARIABLE, AdapterSpec, RunFailed, RunFinished

DEADLINE_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
SUPPORT = Path(__file__).resolve().parent


def worker_path() -> str:
    return os.pathsep.join(str(each) for each in (ROOT / "contracts", ROOT / "adapters", SUPPORT))


def interpreter() -> str:
    """The interpreter for workers: POCKET3D_TEST_WORKER_PYTHON, or this one."""
    return os.environ.get("POCKET3D_TEST_WORKER_PYTHON") or sys.executable


def alive(pid: int) -> bool:
    """True for a process that is neither gone nor a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition: Any, what: str, deadline_s: float = DEADLINE_S) -> None:
    ends = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < ends, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.005)


class WorkerDriver(CheckedWorker):
    """The check kit's worker with a test's interpreter and deadlines."""

    def __init__(self, folder: Path) -> None:
        self.journal_dir = folder / "journal"
        env = {name: value for name, value in os.environ.items() if not name.startswith("POCKET3D_")}
        env |= {"PYTHONPATH": worker_path(), JOURNAL_VARIABLE: str(self.journal_dir), "CUDA_VISIBLE_DEVICES": ""}
        super().__init__(interpreter(), env, folder)

    def begin(self, class_path: str = "pocket3d.adapters.echo.EchoAdapter", **spec: Any) -> None:
        """Have it load."""
        variant = spec.pop("variant", None)
        adapter = AdapterSpec(adapter_id=spec.pop("adapter_id", "tested"), class_path=class_path, **spec)
        self.begin_load(adapter, "cpu", 64, variant)

    def next(self, kind: Any, run_id: str | None = None) -> Any:
        """The first frame of that kind (and run)."""
        found = self.wait(kind, DEADLINE_S, run_id)
        assert found is not None, f"no {kind} within {DEADLINE_S:g} s; got {self.frames}; {self.log_lines()[-40:]}"
        return found

    def echo(self, run_id: str, inputs: dict[str, Any] | None = None, **fields: Any) -> Path:
        """Start a run of `echo`; its output folder."""
        return self.run(run_id, "echo", inputs or {}, **fields)

    def ended(self, run_id: str) -> Any:
        """How a run ended."""
        return self.next((RunFinished, RunFailed), run_id)

    def leave(self) -> int | None:
        """Shut it down; its exit status."""
        return self.shut_down(DEADLINE_S)
