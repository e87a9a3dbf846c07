"""What the adapters of an agent are, asked in each adapter's own interpreter: the agent never imports one.

`python -m pocket3d.adapters.worker --describe --answer-fd N` reads a JSON list of `AdapterSpec` on stdin and writes a
JSON list of `AdapterDescription` to descriptor N. Adapters that share interpreter, environment and import path are
asked together; if that process fails they are asked one by one, so that one bad adapter costs only itself.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.worker_frames import AdapterDescription, AdapterSpec

from ..workers.environment import child_environment, interpreter, link_namespace
from ..workers.guardian_process import MARK_VARIABLE, kill_marked
from ..workers.log_capture import LineCutter
from ..workers.process import READ_BYTES, reading

#: An answer is a few kilobytes per adapter.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
#: Interpreters at once: each imports its adapters' modules, which is heavy.
_AT_ONCE = 2
#: Lines of stderr in a reason.
_REASON_LINES = 6
_MISSING = re.compile(r"No module named '(msgspec|structlog)(?:\.|')")


class DeclaredAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter as `models.yaml` or the built-ins declare it."""

    spec: AdapterSpec
    #: Interpreter; None for the agent's own.
    python: str | None = None
    env: dict[str, str] = {}


class _DescribeError(Exception):
    """The describing process gave no answer; the message is the reason."""


async def describe_adapters(
    declared: Sequence[DeclaredAdapter], *, timeout_s: float = 60.0, namespace: Path | None = None
) -> list[AdapterDescription]:
    """Describe all of them, in the given order. Never raises for an adapter's fault: that is its `reason`.

    Args:
        declared: the adapters.
        timeout_s: for one interpreter's answer.
        namespace: the import root to use instead of a temporary one (see `link_namespace`).

    Raises:
        NamespaceError: Pocket3DStudio's adapters are not installed beside the agent.
    """
    groups: dict[tuple[object, ...], list[DeclaredAdapter]] = {}
    for adapter in declared:
        key = (interpreter(adapter.python), tuple(sorted(adapter.env.items())), tuple(adapter.spec.path))
        groups.setdefault(key, []).append(adapter)
    gate = asyncio.Semaphore(_AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="pocket3d-describe-") as folder:
        if namespace is None:
            namespace = await asyncio.to_thread(link_namespace, Path(folder) / "namespace")
        asked = [_describe_group(group, namespace, timeout_s, gate) for group in groups.values()]
        answers = await asyncio.gather(*asked)
    known = {description.adapter_id: description for answer in answers for description in answer}
    return [known[adapter.spec.adapter_id] for adapter in declared]


async def _describe_group(
    group: list[DeclaredAdapter], namespace: Path, timeout_s: float, gate: asyncio.Semaphore
) -> list[AdapterDescription]:
    try:
        async with gate:
            found = {each.adapter_id: each for each in await _ask(group, namespace, timeout_s)}
    except _DescribeError as error:
        if len(group) == 1:
            return [_unavailable(group[0], str(error))]
        alone = await asyncio.gather(*(_describe_group([one], namespace, timeout_s, gate) for one in group))
        return [description for answer in alone for description in answer]
    return [
        found.get(adapter.spec.adapter_id) or _unavailable(adapter, "its interpreter did not describe it")
        for adapter in group
    ]


def _unavailable(adapter: DeclaredAdapter, reason: str) -> AdapterDescription:
    spec = adapter.spec
    return AdapterDescription(
        adapter_id=spec.adapter_id,
        available=False,
        reason=reason,
        feature=spec.feature or "unknown",
        devices=spec.devices or [],
    )


async def _ask(group: list[DeclaredAdapter], namespace: Path, timeout_s: float) -> list[AdapterDescription]:
    """One process for one interpreter, environment and path."""
    python = interpreter(group[0].python)
    env = child_environment(os.environ, python=python, namespace=namespace, env=group[0].env, path=[], visible="")
    mark = env[MARK_VARIABLE] = secrets.token_hex(16)
    answer_in, answer_out = os.pipe()
    stderr_in, stderr_out = os.pipe()
    with tempfile.TemporaryFile() as question:
        question.write(msgspec.json.encode([adapter.spec for adapter in group]))
        question.seek(0)
        try:
            process = await asyncio.create_subprocess_exec(
                python,
                "-m",
                "pocket3d.adapters.worker",
                "--describe",
                "--answer-fd",
                str(answer_out),
                stdin=question,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=stderr_out,
                pass_fds=[answer_out],
                start_new_session=True,
                cwd=namespace,
                env=env,
            )
        except (OSError, ValueError) as error:
            # ValueError: a null byte, or a name of a variable that is none.
            os.close(answer_in)
            os.close(stderr_in)
            why = (error.strerror if isinstance(error, OSError) else None) or error
            raise _DescribeError(
                f"its interpreter {python} cannot be started: {why}; set `python` and `env` in models.yaml"
            ) from error
        finally:
            os.close(answer_out)
            os.close(stderr_out)
    collected = asyncio.gather(_read_answer(answer_in), _read_last_lines(stderr_in), _ended(process, mark))
    try:
        answer, lines, returncode = await asyncio.wait_for(collected, timeout_s)
    except asyncio.TimeoutError as error:
        raise _DescribeError(f"{python} did not describe it within {timeout_s:g} s") from error
    finally:
        _kill_group(process.pid)
        await process.wait()
        await asyncio.to_thread(kill_marked, mark)
    if returncode != 0:
        raise _DescribeError(_why(python, returncode, lines))
    try:
        return decode(list[AdapterDescription], answer)
    except WireError as error:
        raise _DescribeError(f"{python} answered what is no description: {error}") from error


async def _ended(process: asyncio.subprocess.Process, mark: str) -> int:
    returncode = await process.wait()
    # What an adapter started at import may hold the pipes open, also from a session of its own.
    _kill_group(process.pid)
    await asyncio.to_thread(kill_marked, mark)
    return returncode


def _why(python: str, returncode: int, lines: list[str]) -> str:
    text = "\n".join(lines)
    missing = _MISSING.search(text)
    if missing:
        return f"{python} lacks {missing[1]}; run: {python} -m pip install msgspec structlog"
    how = f"was killed by signal {-returncode}" if returncode < 0 else f"exited with status {returncode}"
    return f"{python} {how} while it described it" + (f": {text}" if text else "")


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


async def _read_answer(read_end: int) -> bytes:
    answer = bytearray()
    async with reading(read_end) as reader:
        while data := await reader.read(READ_BYTES):
            answer += data
            if len(answer) > MAX_ANSWER_BYTES:
                raise _DescribeError(f"its description is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(answer)


async def _read_last_lines(read_end: int) -> list[str]:
    cutter = LineCutter()
    lines: list[str] = []
    async with reading(read_end) as reader:
        while data := await reader.read(READ_BYTES):
            lines = [*lines, *cutter.feed(data)][-_REASON_LINES:]
    return [line for line in [*lines, *cutter.finish()][-_REASON_LINES:] if line.strip()]
