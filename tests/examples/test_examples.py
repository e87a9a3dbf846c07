"""The programs in examples/ run as they stand, against a real system."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command_line import ROOT, Ran, Up, environment, pocket3d, up

EXAMPLES = ROOT / "examples"
OWN = EXAMPLES / "own_adapter" / "models.yaml"
PHOTOS = EXAMPLES / "photos"

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("examples")]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("examples") / "store", "--models", str(OWN)) as running:
        yield running


def run(system: Up, folder: Path, program: str, *arguments: str) -> Ran:
    """Run an example as its docstring says, with `folder` as the current one."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=environment(NATS_URL=system.url),
        check=False,
    )
    return Ran(done)


def echo(system: Up, *job_ids: str) -> None:
    for job_id in job_ids:
        assert system.run("submit", "echo", "--job-id", job_id, "--wait").code == 0


@pytest.mark.torch
def test_submit(system: Up, tmp_path: Path) -> None:
    ran = run(system, tmp_path, "submit.py", "a blue table")
    assert ran.code == 0, ran
    assert "100%" in ran.out
    [mesh] = (tmp_path / "out").rglob("*.glb")
    assert mesh.read_bytes()[:4] == b"glTF"


@pytest.mark.torch
def test_submit_says_what_was_wrong(system: Up, tmp_path: Path) -> None:
    ran = run(system, tmp_path, "submit.py", "qwertyuiop")
    assert ran.code == 1
    assert "invalid_input" in ran.err


def test_subscriber_goes_on_where_it_stopped(system: Up, tmp_path: Path) -> None:
    echo(system, "seen-1", "seen-2")
    assert run(system, tmp_path, "subscriber.py", "echo", "2").code == 0
    archive = tmp_path / "out" / "archive"
    assert sorted(path.stem for path in archive.iterdir()) == ["seen-1", "seen-2"]
    record = json.loads((archive / "seen-1.json").read_text())
    assert (record["status"], record["feature"]) == ("succeeded", "echo")
    echo(system, "seen-3")
    assert run(system, tmp_path, "subscriber.py", "echo", "1").code == 0
    assert (archive / "seen-3.json").exists()


def test_plain_subscriber_goes_on_where_it_stopped(system: Up, tmp_path: Path) -> None:
    echo(system, "plain-1", "plain-2")
    first = run(system, tmp_path, "plain_nats_subscriber.py", "echo", "2")
    assert first.code == 0, first
    assert len(first.out.splitlines()) == 2
    echo(system, "plain-3", "plain-4")
    while "plain-4" not in first.out:
        # What this test's neighbours did comes first; nothing comes twice.
        following = run(system, tmp_path, "plain_nats_subscriber.py", "echo", "1")
        assert following.code == 0, following
        assert following.out.split()[0] not in first.out.split()
        first.out += following.out
    assert "plain-3 echo succeeded" in first.out


@pytest.mark.torch
def test_plain_producer(system: Up, tmp_path: Path) -> None:
    ran = run(system, tmp_path, "plain_nats_producer.py", str(PHOTOS / "coffee.png"))
    assert ran.code == 0, ran
    [mesh] = (tmp_path / "out").rglob("*.glb")
    assert mesh.read_bytes()[:4] == b"glTF"


@pytest.mark.torch
def test_batch_runs_again_without_new_jobs(system: Up, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(PHOTOS / "coffee.png", photos)
    (photos / "notes.txt").write_text("no photograph")
    first = run(system, tmp_path, "batch.py", "photos", "out")
    assert (first.code, "1 of 1 made" in first.out) == (0, True), first
    [mesh] = (tmp_path / "out").rglob("*.glb")
    assert mesh.parent.name.startswith("coffee-")
    before = len(system.run("jobs", "--json", "--limit", "1000").json_lines)
    again = run(system, tmp_path, "batch.py", "photos", "out")
    assert again.code == 0, again
    assert len(system.run("jobs", "--json", "--limit", "1000").json_lines) == before


@pytest.mark.torch
def test_the_chain_gives_a_rigged_and_painted_mesh(system: Up, tmp_path: Path) -> None:
    chain = ("chain", str(EXAMPLES / "chain.yaml"), "faces=1500", "--chain-id", "five")
    ran = system.run(*chain, "--download", str(tmp_path / "out"))
    assert ran.code == 0, ran
    [mesh] = (tmp_path / "out" / "five-rig").glob("*.glb")
    data = mesh.read_bytes()
    gltf = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert gltf["skins"] and gltf["images"]
    again = system.run(*chain, "--wait", "--json")
    assert [step["job_id"] for step in again.json["steps"]] == [
        f"five-{name}" for name in ("mesh", "retopology", "unwrap", "texture", "rig")
    ]


def test_own_adapter_serves_jobs(system: Up, tmp_path: Path) -> None:
    job = ("submit", "text_to_mesh", "text_prompt=hello", "--model", "letter-blocks", "--wait")
    ran = system.run(*job, "--download", str(tmp_path / "out"))
    assert ran.code == 0, ran
    [mesh] = (tmp_path / "out").rglob("*.obj")
    lines = mesh.read_text().splitlines()
    assert (sum(line.startswith("v ") for line in lines), sum(line.startswith("f ") for line in lines)) == (40, 30)
    refused = system.run(
        "submit", "text_to_mesh", "text_prompt=hello", "height:=99", "--model", "letter-blocks", "--wait"
    )
    assert (refused.code, "height" in refused.out + refused.err) == (4, True), refused


def test_own_adapter_keeps_its_contract(tmp_path: Path) -> None:
    ran = pocket3d("adapters", "check", "letter-blocks", "--models", str(OWN), cwd=tmp_path)
    assert ran.code == 0, ran


def test_plain_examples_import_nothing_of_ours() -> None:
    for name in ("plain_nats_producer.py", "plain_nats_subscriber.py"):
        tree = ast.parse((EXAMPLES / name).read_text())
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not [module for module in modules if module.startswith("pocket3d")]


def test_every_program_is_run_here() -> None:
    here = Path(__file__).read_text()
    assert set(re.findall(r'run\(system, tmp_path, "(\w+\.py)"', here)) == {path.name for path in EXAMPLES.glob("*.py")}
