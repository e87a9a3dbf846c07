"""What the pages tell readers to type is typed: against a real system, where it needs no model and no other machine."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from support.command_line import Up, environment, pocket3d, up
from support.pages import ROOT, blocks, codes

README, WIRE, OPERATING = ROOT / "README.md", ROOT / "docs" / "wire.md", ROOT / "docs" / "operating.md"
REQUEST = re.compile(r"nats req (?P<subject>\S+) '(?P<body>[^']*)'")
AGENT = "gpu-07"

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("pages")]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("pages") / "store", "--agent-id", AGENT) as running:
        yield running


def requests(page: Path) -> list[tuple[str, str]]:
    """Subject and body of each `nats req` on a page, in order."""
    text = "\n".join([block.text for block in blocks(page)] + codes(page.read_text(encoding="utf-8")))
    return [(found["subject"], found["body"]) for found in REQUEST.finditer(text)]


@pytest.mark.parametrize("page", [README, WIRE, OPERATING], ids=lambda page: page.name)
async def test_requests_of_the_nats_cli_are_answered(system: Up, page: Path) -> None:
    """Sent by nats-py: the CLI is not a package that tests could install."""
    connection = await nats.connect(system.url)
    try:
        assert requests(page)
        await connection.request("p3d.jobs.normal.echo", b'{"job_id": "JOB_ID", "inputs": {}}', timeout=5)
        for subject, body in requests(page):
            if "$name" in body:
                continue
            # Of a model that is not here, what is asked of it is asked of one that is.
            sent = body.replace("trellis-text-to-mesh", "echo").encode()
            answer = await asked(connection, subject, sent)
            assert "error" not in answer, f"{page.name}: nats req {subject} {body}: {answer}"
            if subject.startswith("p3d.jobs."):
                assert answer["stream"] == "P3D_JOBS"
    finally:
        await connection.close()


async def asked(connection: Any, subject: str, body: bytes) -> dict[str, Any]:
    """Ask until the job that was just published has been read."""
    for _ in range(50):
        answer: dict[str, Any] = json.loads((await connection.request(subject, body, timeout=5)).data)
        if answer.get("code") != 404:
            break
        await asyncio.sleep(0.1)
    return answer


async def test_requests_to_jetstream_work_as_the_wire_says(system: Up) -> None:
    text = WIRE.read_text(encoding="utf-8")
    connection = await nats.connect(system.url)
    try:
        [consumer] = [
            json.loads(block.text) for block in blocks(WIRE) if '"durable_name"' in block.text and block.info == "json"
        ]
        [create] = [code for code in codes(text) if code.startswith("$JS.API.CONSUMER.DURABLE.CREATE")]
        made = json.loads((await connection.request(create, json.dumps(consumer).encode(), timeout=5)).data)
        assert made["config"].items() >= consumer["config"].items()
        [read] = [code for code in codes(text) if code.startswith("$JS.API.STREAM.MSG.GET")]
        nobody = json.dumps({"last_by_subj": "p3d.results.*.nobody"}).encode()
        missing = json.loads((await connection.request(read, nobody, timeout=5)).data)
        assert missing["error"]["err_code"] == 10037
        refused = await connection.request(
            "$JS.API.CONSUMER.CREATE.P3D_JOBS",
            json.dumps({"stream_name": "P3D_JOBS", "config": {"ack_policy": "explicit"}}).encode(),
            timeout=5,
        )
        assert json.loads(refused.data)["error"]["err_code"] in (10099, 10100)
        twice = [
            await connection.request(
                "p3d.jobs.low.echo", b'{"job_id": "twice", "inputs": {}}', timeout=5, headers={"Nats-Msg-Id": "twice"}
            )
            for _ in range(2)
        ]
        assert [json.loads(each.data).get("duplicate", False) for each in twice] == [False, True]
        with pytest.raises(nats.errors.NoRespondersError):
            await connection.request("p3d.jobs.urgent.echo", b"{}", timeout=5)
    finally:
        await connection.close()


@pytest.mark.torch
def test_the_readme_can_be_followed(system: Up, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    text = "\n".join(block.text for block in blocks(README))
    submits = re.findall(r"^\.venv/bin/pocket3d (submit .+)$", text, re.MULTILINE)
    assert len(submits) == 2
    for line in submits:
        ran = pocket3d(*shlex.split(line), cwd=tmp_path, NATS_URL=system.url)
        assert ran.code == 0, ran
    assert len(list((tmp_path / "out").rglob("*.glb"))) == 2


@pytest.mark.torch
@pytest.mark.parametrize("page", [README, ROOT / "docs" / "embedding.md"], ids=lambda page: page.name)
def test_the_client_without_await_can_be_pasted(system: Up, tmp_path: Path, page: Path) -> None:
    [code] = [block.text for block in blocks(page) if block.info == "python" and "pocket3d.bus.sync" in block.text]
    assert "nats://127.0.0.1:4222" in code
    done = subprocess.run(
        [sys.executable, "-c", code.replace("nats://127.0.0.1:4222", system.url)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ".glb" in done.stdout


@pytest.mark.parametrize(
    "line", ["topology --print", "completion bash", "completion fish", "adapters show echo", "--version"]
)
def test_what_needs_no_server_runs(line: str) -> None:
    ran = pocket3d(*line.split())
    assert ran.code == 0, ran
    assert ran.out
