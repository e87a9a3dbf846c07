"""The tour of docs/nats-cli.md on a running system: by nats-py what the commands send, and by `nats` where it is."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import nats
import pytest
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from support.command_line import Up, up
from support.pages import ROOT, blocks

PAGE = ROOT / "docs" / "nats-cli.md"
AGENT = "gpu-07"
#: What these show follows a result by milliseconds.
FOLLOWS = ("nats req p3d.api.status", "nats req p3d.api.explain", "nats kv get", "nats stream get")
PATIENCE_S = 15.0

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("nats-cli")]


class Step(NamedTuple):
    """One command of the page, and what its output has."""

    command: str
    expected: str

    def filled(self, job: str) -> Step:
        return Step(*(re.sub(r"\bJOB", job, text.replace("AGENT", AGENT)) for text in self))


STEPS = [
    Step(*(part.strip() for part in line.rsplit(" # ", 1)))
    for block in blocks(PAGE)
    if block.info == "nats"
    for line in block.text.splitlines()
]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("cli")
    wanted = ("--agent-id", AGENT, "--contexts")
    with up(folder / "store", *wanted, XDG_CONFIG_HOME=str(folder)) as running:
        yield running


@pytest.fixture
async def connection(system: Up) -> AsyncIterator[Any]:
    connected = await nats.connect(system.url)
    yield connected
    await connected.close()


def test_every_command_says_what_it_shows() -> None:
    assert len(STEPS) > 25
    assert all(step.command.startswith("nats ") and step.expected for step in STEPS)


async def test_what_the_commands_send_is_answered_as_the_page_says(connection: Any) -> None:
    for step in (step.filled("tour-py") for step in STEPS):
        words = shlex.split(step.command)[1:]
        said = await by_nats_py(connection, words)
        end = time.monotonic() + PATIENCE_S
        while step.expected not in said:
            assert step.command.startswith(FOLLOWS) and time.monotonic() < end, f"{step.command}: {said[:500]}"
            said = await by_nats_py(connection, words)


@pytest.mark.skipif(shutil.which("nats") is None, reason="needs the nats CLI")
def test_the_commands_show_what_the_page_says(system: Up, tmp_path_factory: pytest.TempPathFactory) -> None:
    (context,) = tmp_path_factory.getbasetemp().glob("cli*/nats/context/pocket3d.json")
    config = context.parents[2]
    for step in (step.filled("tour-cli") for step in STEPS):
        words = shlex.split(step.command.replace("nats ", "nats --context pocket3d ", 1))
        env = {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(config), "HOME": str(config)}
        end = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env, check=False)
            if step.expected in done.stdout + done.stderr:
                break
            patient = step.command.startswith(FOLLOWS) and time.monotonic() < end
            assert patient, f"{step.command}: {done.stdout}{done.stderr}"


async def by_nats_py(connection: Any, words: list[str]) -> str:
    """What the command sends, sent."""
    match words:
        case ["micro", "ls" | "ping"]:
            return await discovered(connection, "$SRV.PING")
        case ["micro", "info", name]:
            return await discovered(connection, f"$SRV.INFO.{name}")
        case ["stream", "ls"]:
            return await asked(connection, "$JS.API.STREAM.NAMES", b"")
        case ["req", subject, body, *_]:
            return await asked(connection, subject, body.encode())
        case ["sub", subject, "--stream", _, "--all", "--count", "1", "--raw"]:
            return await first(connection, subject)
        case ["sub", subject, "--all", "--terminate-at-end"]:
            message = await connection.jetstream().get_last_msg("P3D_EVENTS", subject.rsplit(".", 1)[0] + ".queued")
            return str(message.subject)
        case ["kv", "get", bucket, key, "--raw"]:
            stored = await connection.jetstream().get_last_msg(f"KV_{bucket}", f"$KV.{bucket}.{key}")
            return (stored.data or b"").decode()
        case ["stream", "get", stream, "--last-for", subject]:
            return str((await connection.jetstream().get_last_msg(stream, subject)).subject)
        case ["consumer", "next", stream, consumer, *_]:
            return await asked(
                connection, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", b'{"batch":1,"expires":1000000000}'
            )
        case ["consumer", "add", stream, name, *more]:
            config = {
                "durable_name": name,
                "ack_policy": "explicit",
                "filter_subject": more[more.index("--filter") + 1],
            }
            request = json.dumps({"stream_name": stream, "config": config}).encode()
            return await asked(connection, f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}", request)
        case ["kv", "del", bucket, key, *_]:
            # No stream takes what is published to the bucket; the CLI calls that "no response from stream".
            try:
                await connection.jetstream().publish(f"$KV.{bucket}.{key}", b"", headers={"KV-Operation": "DEL"})
            except nats.js.errors.NoStreamResponseError as error:
                return f"no response from stream: {error}"
            return "it was deleted"
        case ["server", "check", "request", "--subject", subject, "--match-payload", pattern]:
            return f"OK {subject}" if re.search(pattern, await asked(connection, subject, b"")) else "CRITICAL"
        case ["server", "check", "connection"]:
            await connection.flush(timeout=10)
            return "OK Connection"
        case ["server", "check", "kv", "--bucket", bucket, "--key", key]:
            stored = await connection.jetstream().get_last_msg(f"KV_{bucket}", f"$KV.{bucket}.{key}")
            return f"OK {bucket}" if stored.data else "CRITICAL"
    raise AssertionError(f"the test does not know what this sends: {words}")


async def asked(connection: Any, subject: str, body: bytes) -> str:
    """The answer with its headers."""
    answer = await connection.request(subject, body, timeout=10)
    return f"{answer.data.decode()} {dict(answer.headers or {})}"


async def discovered(connection: Any, subject: str) -> str:
    """The answers of all services that answer within a moment, until as many as parts run have."""
    inbox = connection.new_inbox()
    subscription = await connection.subscribe(inbox)
    await connection.publish(subject, b"", reply=inbox)
    said = ""
    try:
        while said.count("io.nats.micro") < 3:
            said += (await subscription.next_msg(timeout=1)).data.decode()
    except (NatsTimeout, NoRespondersError):
        return said
    finally:
        await subscription.unsubscribe()
    return said


async def first(connection: Any, subject: str) -> str:
    """The first stored message on a subject, waited for."""
    js = connection.jetstream()
    stream = "P3D_RESULTS" if ".results." in subject else "P3D_DEAD" if ".dead." in subject else "P3D_EVENTS"
    consumer = await js.pull_subscribe(subject, stream=stream)
    (message,) = await consumer.fetch(1, timeout=60)
    await message.ack()
    await asyncio.wait_for(consumer.unsubscribe(), 10)
    return str(message.data.decode())
