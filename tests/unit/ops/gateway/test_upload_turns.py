"""Uploads take turns: one piece at a time, and a pause after it where somebody else asks."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

pytest.importorskip("litestar")

from pocket3d.ops.gateway.upload_turns import UploadTurns


async def test_pieces_of_many_uploads_come_one_after_the_other() -> None:
    turns, order, rounds = UploadTurns(), [], 0

    async def upload(name: str) -> None:
        for number in range(2):
            await turns.wait()
            order.append((name, number, rounds))

    await turns.wait()
    uploads = [asyncio.ensure_future(upload(name)) for name in "abc"]
    while not all(each.done() for each in uploads):
        rounds += 1
        await asyncio.sleep(0)
    assert [(name, number) for name, number, _ in order] == [(name, number) for number in range(2) for name in "abc"]
    gaps = [after[2] - before[2] for before, after in pairwise(order)]
    assert min(gaps) >= 3, "what a piece sets off comes before the next one"


async def test_a_turn_that_is_not_waited_for_is_not_lost() -> None:
    turns = UploadTurns()
    await turns.wait()
    gone = asyncio.ensure_future(turns.wait())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(turns.wait(), 10)
