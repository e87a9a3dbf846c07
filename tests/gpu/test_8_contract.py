"""G14 and G15: the check of adapters on the GPU, and what this driver says inside another pid namespace."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu.card import HERE, Card, run_program
from pocket3d.adapters.check import check_adapter


@pytest.mark.timeout(90)
@pytest.mark.parametrize("adapter", ["pocket3d.adapters.echo.EchoAdapter", "gpu_models.GpuModel"])
def test_g14_adapters_keep_their_contract_on_cuda(
    card: Card, figures: dict[str, Any], tmp_path: Path, adapter: str
) -> None:
    report = check_adapter(
        adapter, path=[HERE / "models"], device="cuda", work_dir=tmp_path, load_timeout_s=60, run_timeout_s=60
    )
    figures["report"] = report.text()[-2000:]
    assert report.ok, report.text()


@pytest.mark.timeout(60)
def test_g15_what_the_driver_says_in_a_pid_namespace(card: Card, figures: dict[str, Any]) -> None:
    """Recorded for the ledger: pids of the namespace, of the host, or none; bytes, zero, or nothing."""
    if not card.real:
        pytest.skip("only a GPU's driver shows it")
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    look = [sys.executable, str(HERE / "models" / "look_at_gpu.py")]
    ran = run_program(["unshare", "--pid", "--fork", "--mount-proc", *look], card.uuid, 50, {})
    if ran.returncode != 0:
        pytest.skip(f"no pid namespace may be made here: {ran.stderr.strip()[-200:]}")
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    figures.update(pid_inside=told["pid"], used_by_pid=told["used_by_pid"], reserved_mb=told["reserved_mb"])
    assert told["uuid"] == card.uuid
