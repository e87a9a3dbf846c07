"""The worker's end of the socket: frames leave in the order of the calls, whether or not the agent reads."""

from __future__ import annotations

import queue
import socket
import threading
from typing import Any

import pytest

from pocket3d.adapters.runtime.agent_channel import AgentChannel
from pocket3d.contracts.worker_frames import FrameReader, Hello, RunFinished, RunProgress


def finished(run_id: str, size: int = 0) -> RunFinished:
    return RunFinished(run_id=run_id, outputs={"data": "x" * size}, files=[], run_s=0.0)


def read(agent: socket.socket, count: int) -> list[Any]:
    frames: list[Any] = []
    reader = FrameReader(from_worker=True)
    agent.settimeout(20)
    while len(frames) < count:
        data = agent.recv(1 << 16)
        assert data, f"the channel ended after {len(frames)} frames"
        frames += reader.feed(data)
    return frames


def channel() -> tuple[AgentChannel, socket.socket, threading.Event]:
    ours, agent = socket.socketpair()
    closed = threading.Event()
    made = AgentChannel(ours, lambda frame: None, lambda reason: closed.set())
    made.start()
    made.send(Hello(protocol=1, pid=1, python="3"))
    return made, agent, closed


def test_the_order_holds_past_a_full_socket() -> None:
    made, agent, closed = channel()
    for number in range(60):
        # Far more than a socket holds; nobody reads yet, and no call waits.
        made.send_end(f"r{number}", finished(f"r{number}", 60_000 if number % 3 == 0 else 10))
    frames = read(agent, 61)
    assert [frame.run_id for frame in frames[1:]] == [f"r{number}" for number in range(60)]
    agent.close()
    assert closed.wait(10)


def test_a_run_that_reports_faster_than_allowed_has_its_last_word_before_its_end() -> None:
    made, agent, closed = channel()
    for step in range(5):
        made.send_progress(RunProgress(run_id="r", fraction=step / 4))
    made.send_end("r", finished("r"))
    told = [getattr(frame, "fraction", "end") for frame in read(agent, 4)[1:]]
    assert told == [0.0, 1.0, "end"]
    agent.close()
    assert closed.wait(10)


def test_a_report_that_was_held_back_leaves_when_its_time_has_come() -> None:
    made, agent, closed = channel()
    made.send_progress(RunProgress(run_id="r", fraction=0.1))
    made.send_progress(RunProgress(run_id="r", fraction=0.2))
    assert [frame.fraction for frame in read(agent, 3)[1:]] == [0.1, 0.2]
    agent.close()
    assert closed.wait(10)


@pytest.mark.parametrize("body", [b"\x81\xa4type\xa5h\xfbello", b"\xc1", b"\x81\xa4type\xa4none"])
def test_an_agent_that_talks_nonsense_is_left_with_that_reason(body: bytes) -> None:
    """Also by text that is no UTF-8, which msgspec tells of with an error of another kind."""
    ours, agent = socket.socketpair()
    reasons: queue.Queue[str] = queue.Queue()
    made = AgentChannel(ours, lambda frame: None, reasons.put)
    made.start()
    agent.sendall(len(body).to_bytes(4, "big") + body)
    assert reasons.get(timeout=10).startswith("the agent does not speak this protocol")
    made.close(1)
    ours.close()
    agent.close()
