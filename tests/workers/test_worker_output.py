"""What a model prints: into the log with its job, never in the agent's way."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from typing import Any, cast

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.contracts.worker_frames import RunFinished
from pocket3d.gpu_agents.workers.log_capture import (
    BURST_LINES,
    COUNTED_CHARS,
    KEPT_LINES,
    LINES_PER_S,
    MAX_LINE_BYTES,
    LineCutter,
    LogCapture,
    clean,
)

from .conftest import Workers, until

Entries = list[MutableMapping[str, Any]]


@pytest.fixture
def log() -> Iterator[Entries]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def lines(entries: Entries) -> list[MutableMapping[str, Any]]:
    return [entry for entry in entries if entry["event"] == "worker output"]


async def test_prints_are_logged_with_agent_adapter_pid_and_job(log: Entries, workers: Workers) -> None:
    pid = await workers.start()
    await until(lambda: lines(log))
    (loading,) = lines(log)
    assert loading["line"].startswith("loading ") and '"kind": "cpu", "vram_mb": 7' in loading["line"]
    assert "job_id" not in loading
    await workers.run("print", text="to out")
    await workers.run("print", run="r2", text="to err", stderr=True)
    await until(lambda: len(lines(log)) == 3)
    common = {"agent_id": "agent-1", "adapter_id": "fake", "worker_pid": pid, "device": "fixed-0", "log_level": "info"}
    by_text = {entry["line"]: entry for entry in lines(log)}
    for text, stream in (("to out", "stdout"), ("to err", "stderr")):
        assert common.items() <= by_text[text].items() and by_text[text]["stream"] == stream


async def test_lines_of_a_run_carry_its_job_while_it_is_the_only_one(log: Entries, workers: Workers) -> None:
    await workers.start()
    await until(lambda: lines(log))
    # The run never finishes, so that its lines are read while it is active.
    await workers.send("signal", signal=0)
    await until(lambda: len(lines(log)) == 2)
    assert (lines(log)[1]["job_id"], lines(log)[1]["attempt"]) == ("job-r1", 2)


async def test_binary_garbage_is_survived(log: Entries, workers: Workers) -> None:
    await workers.start()
    await workers.run("binary")
    await until(lambda: any(entry["line"] == "after the garbage" for entry in lines(log)))
    assert all(c.isprintable() or c in "\t\ufffd" for entry in lines(log) for c in entry["line"])
    await workers.run("print", run="r2", text="fine")


async def test_a_line_without_an_end_is_bounded(log: Entries, workers: Workers) -> None:
    await workers.start()
    await workers.run("endless", blocks=160)
    await workers.run("print", run="r2", text="\nnext")
    await until(lambda: any(entry["line"] == "next" for entry in lines(log)))
    cut = [entry["line"] for entry in lines(log) if entry["line"].startswith("xxx")]
    assert [len(line) for line in cut] == [MAX_LINE_BYTES]
    assert any(
        entry["line"] == f"[the line above went on for {160 * 65536 - MAX_LINE_BYTES} bytes]" for entry in lines(log)
    )


async def test_a_flood_of_lines_is_held_back_and_counted(log: Entries, workers: Workers) -> None:
    await workers.start()
    await workers.run("flood_lines", lines=20_000)
    assert workers.seen(RunFinished)
    await workers.send("die", run="r2", status=1)
    told = await workers.exit()
    assert told.last_lines[-2:] == ["line 19999", "about to die"] and len(told.last_lines) == KEPT_LINES
    held = sum(entry["lines"] for entry in log if "held back" in entry["event"])
    # "loading", the flood, "about to die": each line was either logged or counted.
    assert held + len(lines(log)) == 20_002
    assert len(lines(log)) < 20_000


# ---------------------------------------------------------------- pure


@given(st.lists(st.binary(max_size=30)))
def test_however_bytes_are_split_the_lines_are_the_same(pieces: list[bytes]) -> None:
    def cut(parts: list[bytes]) -> list[str]:
        cutter = LineCutter(limit=8)
        return [line for part in parts for line in cutter.feed(part) if line] + [
            line for line in cutter.finish() if line
        ]

    whole = b"".join(pieces)
    assert cut(pieces) == cut([whole]) == cut([whole[i : i + 1] for i in range(len(whole))])


@given(st.lists(st.binary(max_size=100)))
def test_a_cutter_never_holds_more_than_its_limit(pieces: list[bytes]) -> None:
    cutter = LineCutter(limit=16)
    for piece in pieces:
        cutter.feed(piece)
        assert len(cutter._pending) <= 16


def test_progress_bars_and_colours_become_lines() -> None:
    cutter = LineCutter()
    assert cutter.feed(b"  1%\r 50%\r\x1b[32m100%\x1b[0m\r\nend") == ["  1%", " 50%", "100%"]
    assert cutter.finish() == ["end"]


def test_text_that_would_forge_a_log_line_is_defused() -> None:
    assert clean(b"a\x07b\x00\xffc\td") == "a\ufffdb\ufffd\ufffdc\td"
    assert clean("grün \u2028 x".encode()) == "grün \ufffd x"


def test_long_lines_count_by_their_length() -> None:
    """At 4 kB lines the rate alone let 34 GB a day into the log."""
    written = 0

    class Log:
        def info(self, event: str, **fields: Any) -> None:
            nonlocal written
            written += len(fields.get("line", ""))

    now = [0.0]
    capture = LogCapture(cast(Any, Log()), dict, lambda: now[0])
    for _ in range(100):
        now[0] += 0.1
        capture.feed("stderr", (b"x" * (MAX_LINE_BYTES - 1) + b"\n") * 40)
    assert written <= COUNTED_CHARS * (BURST_LINES + LINES_PER_S * 10) + MAX_LINE_BYTES


def test_the_rate_recovers_with_time() -> None:
    seen: list[str] = []

    class Log:
        def info(self, event: str, **fields: Any) -> None:
            seen.append(str(fields.get("line", fields.get("lines"))))

    now = [0.0]
    capture = LogCapture(cast(Any, Log()), dict, lambda: now[0])
    for index in range(BURST_LINES + 10):
        capture.feed("stdout", b"%d\n" % index)
    assert len(seen) == BURST_LINES
    now[0] += 2 / LINES_PER_S
    capture.feed("stdout", b"back\n")
    assert seen[BURST_LINES:] == ["10", "back"]
    capture.feed("stderr", b"rest")
    capture.finish()
    assert seen[-1] == "rest"
    assert os.linesep not in "".join(seen)
