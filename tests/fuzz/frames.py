"""Frames between an agent and a worker, both ways: frames, or a `FrameError`, however the bytes are cut."""

from __future__ import annotations

import random
import struct
from typing import Any, get_args

import structlog

from pocket3d.contracts.worker_frames import AgentFrame, FrameError, FrameReader, WorkerFrame, pack
from pocket3d.gpu_agents.io.worker_gateway import event_of

from . import values

_KINDS: dict[bool, tuple[Any, ...]] = {True: get_args(WorkerFrame), False: get_args(AgentFrame)}


def written(dice: random.Random, *, from_worker: bool, spoil: float) -> bytes:
    """A frame as its sender may write it."""
    body = values.as_msgpack(values.message(dice.choice(_KINDS[from_worker]), dice, spoil))
    return struct.pack(">I", len(body)) + body


def frame(dice: random.Random) -> None:
    """Some frames of one side, spoilt or not."""
    from_worker = dice.random() < 0.5
    spoil = dice.choice((0.0, 0.03, 0.3))
    data = b"".join(written(dice, from_worker=from_worker, spoil=spoil) for _ in range(dice.randrange(1, 4)))
    if dice.random() < 0.4:
        data = values.spoilt(data, dice)
    whole = _read(data, len(data) + 1, from_worker)
    assert whole == _read(data, dice.choice((1, 3, 50)), from_worker)
    for each in whole:
        if not isinstance(each, str):
            assert FrameReader(from_worker=from_worker).feed(pack(each)) == [each]
            if from_worker:
                with structlog.testing.capture_logs():
                    event_of("w", each)


def _read(data: bytes, piece: int, from_worker: bool) -> list[Any]:
    reader = FrameReader(from_worker=from_worker)
    found: list[Any] = []
    try:
        for at in range(0, len(data), piece):
            found += reader.feed(data[at : at + piece])
    except FrameError:
        # Frames before the broken one are given where they came in an earlier piece.
        return ["broken"]
    return found
