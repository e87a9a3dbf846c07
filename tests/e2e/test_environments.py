"""One environment per model: conflicting versions side by side on one host, and what is missing costs only its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

from support.command_line import environment, pocket3d
from support.fleet_processes import FleetProcesses, until
from support.tiny_wheels import make_wheel, worker_wheels

SUPPORT = Path(__file__).parents[1] / "support"
#: The environments see the tests' adapters, not the tests' packages.
_KEPT = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}


def make_environment(folder: Path, wheels: Path, catlib: str) -> str:
    """A virtual environment with what a worker needs and one version of catlib; its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, env=_KEPT)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "--no-index", "--find-links", str(wheels)]
    subprocess.run([*pip, "msgspec", "structlog", f"catlib=={catlib}"], check=True, env=_KEPT)
    return python


async def test_two_adapters_with_conflicting_packages_run_at_the_same_time_and_what_is_missing_costs_only_its_own(
    fleet: FleetProcesses, tmp_path: Path
) -> None:
    wheels = worker_wheels(tmp_path / "wheels")
    for version in ("1.0", "2.0"):
        make_wheel(wheels, "catlib", version, {"catlib.py": f"VERSION = {version!r}\n"})
    old, new = await asyncio.gather(
        asyncio.to_thread(make_environment, tmp_path / "old", wheels, "1.0"),
        asyncio.to_thread(make_environment, tmp_path / "new", wheels, "2.0"),
    )
    shared: dict[str, Any] = {"class": "versions.VersionAdapter", "path": [str(SUPPORT)]}
    missing_weights = str(tmp_path / "cat.ckpt")
    models = fleet.models(
        "models",
        {
            "old-cat": {**shared, "python": old},
            "new-cat": {**shared, "python": new},
            "no-package": {**shared, "python": new, "config": {"needs": "doglib"}},
            "no-weights": {**shared, "python": old, "config": {"weights": missing_weights}},
            "no-interpreter": {**shared, "python": str(tmp_path / "gone" / "bin" / "python")},
        },
    )
    fleet.coordinator()
    fleet.agent("host", "cpu:1024", models)
    await fleet.until_led(agents=1)

    meeting = tmp_path / "meeting"
    meeting.mkdir()
    for me, partner in (("old-cat", "new-cat"), ("new-cat", "old-cat")):
        inputs = {"meeting": str(meeting), "me": me, "partner": partner}
        await fleet.submit("tell_version", {"job_id": me, "model_preference": me, "inputs": inputs})
    results = {each["job_id"]: each for each in await fleet.until_results(2, 60)}
    told = {
        job: (each["status"], each["outputs"]["version"], each["outputs"]["prefix"]) for job, each in results.items()
    }
    assert told == {
        "old-cat": ("succeeded", "1.0", str(tmp_path / "old")),
        "new-cat": ("succeeded", "2.0", str(tmp_path / "new")),
    }
    assert {each["agent_id"] for each in results.values()} == {"host"}

    def advertised(answer: dict[str, Any]) -> dict[str, str | None]:
        return {offer["adapter_id"]: offer["reason"] for offer in answer["agents"][0]["adapters"]}

    reasons = advertised(await fleet.ask("agents"))
    assert reasons["old-cat"] is None and reasons["new-cat"] is None
    assert "not installed: doglib" in str(reasons["no-package"])
    assert f"weights missing: {missing_weights}" in str(reasons["no-weights"])
    assert "cannot be started" in str(reasons["no-interpreter"])
    # People are told the same, without a server.
    ran = await asyncio.to_thread(pocket3d, "adapters", "--models", str(models), "--json")
    listed = {each["adapter_id"]: each["reason"] for each in ran.json}
    assert {name: listed[name] for name in reasons} == reasons

    # A job that insists on the one without its package waits, and is told why; others are served.
    await fleet.submit("tell_version", {"job_id": "waits", "model_preference": "no-package", "inputs": {}})

    async def explained() -> dict[str, Any] | None:
        answer = await fleet.ask("explain", {"job_id": "waits"})
        return answer if "doglib" in json.dumps(answer) else None

    await until(explained, 20, "the explanation")


def test_an_installed_packages_adapter_is_found_by_its_entry_point_and_runs(tmp_path: Path) -> None:
    """An agent's environment into which somebody installed a package with an adapter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "agent")], check=True, env=_KEPT)
    python = tmp_path / "agent" / "bin" / "python"
    (site,) = (tmp_path / "agent" / "lib").glob("python*/site-packages")
    (site / "tests-own.pth").write_text(sysconfig.get_path("purelib") + "\n")
    code = (SUPPORT / "checked.py").read_text()
    points = "[pocket3d.adapters]\nboxed-cat = boxed_cat:GoodAdapter\nlost-cat = boxed_cat_nowhere:Cat\n"
    files = {"boxed_cat.py": code, "boxed_cat-1.2.dist-info/entry_points.txt": points}
    with zipfile.ZipFile(make_wheel(tmp_path, "boxed_cat", "1.2", files)) as wheel:
        wheel.extractall(site)

    def run(*words: str) -> Any:
        asked = [str(python), "-m", "pocket3d.ops.cli", "adapters", *words, "--json"]
        done = subprocess.run(asked, capture_output=True, text=True, env=environment(), timeout=60, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    listed = {each["adapter_id"]: each for each in run("list")}
    assert listed["boxed-cat"]["source"] == "boxed_cat 1.2"
    assert (listed["boxed-cat"]["available"], listed["boxed-cat"]["feature"]) == (True, "text_to_mesh")
    assert "no module boxed_cat_nowhere" in listed["lost-cat"]["reason"]
    assert run("check", "boxed-cat")["ok"] is True
