"""The one task pool: limits, lines, errors, and coroutines that never got to run."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings

import pytest

from pocket3d.bus.tasks import TaskPool, within


async def _note(done: list[str], name: str) -> None:
    done.append(name)


async def _note_after(done: list[str], name: str, gate: asyncio.Event) -> None:
    await gate.wait()
    done.append(name)


async def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancellation_beside_the_answer_is_not_lost(turns: int) -> None:
    """`asyncio.wait_for` of Python 3.11 loses it, and the loop around it goes on."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        return await answer

    task = asyncio.ensure_future(within(work(), 60.0))
    for _ in range(3):
        await asyncio.sleep(0)
    answer.set_result("here")
    for _ in range(turns):
        await asyncio.sleep(0)
    in_time = task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() == in_time


async def test_work_that_takes_too_long_has_ended_when_that_is_told() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("tidied up")

    with pytest.raises(asyncio.TimeoutError):
        await within(work(), 0.001)
    assert ended == ["tidied up"]
    with pytest.raises(ValueError, match="of its own"):
        await within(_raise(ValueError("of its own")), 60.0)


@pytest.mark.parametrize("how", ["bounded", "unbounded", "without a limit", "in line"])
async def test_work_cancelled_before_its_first_step_is_closed(how: str) -> None:
    pool = TaskPool(None if how == "without a limit" else 1)
    done: list[str] = []
    work = _note(done, "never")
    if how == "in line":
        pool.in_line("job", work)
    else:
        pool.spawn(work, bounded=how != "unbounded")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await pool.close()
        assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED, "the coroutine was left open"
        del work
        gc.collect()
    assert not done


async def test_work_that_waits_for_room_is_closed() -> None:
    pool = TaskPool(1)
    done: list[str] = []
    never = asyncio.Event()
    waiting = _note(done, "waiting")
    pool.spawn(_note_after(done, "first", never))
    pool.spawn(waiting)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await pool.close()
    assert inspect.getcoroutinestate(waiting) == inspect.CORO_CLOSED
    assert not done


async def test_a_lane_waits_for_none_but_itself() -> None:
    pool = TaskPool(1)
    gate = asyncio.Event()
    done: list[str] = []
    for name in ("first", "second", "third"):
        pool.spawn(_note_after(done, name, gate), lane="long")
    pool.spawn(_note(done, "other"), lane="short")
    await asyncio.sleep(0.01)
    assert done == ["other"]
    gate.set()
    await asyncio.sleep(0.01)
    assert done == ["other", "first", "second", "third"]
    assert not pool._waiting
    assert not pool._bounded
    await pool.close()


async def test_no_more_than_the_limit_run_at_once_but_for_the_unbounded() -> None:
    pool = TaskPool(2)
    gate = asyncio.Event()
    running = 0
    most = 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    for _ in range(5):
        pool.spawn(work())
    await asyncio.sleep(0.01)
    assert running == 2
    pool.spawn(work(), bounded=False)
    await asyncio.sleep(0.01)
    assert running == 3
    gate.set()
    await asyncio.sleep(0.01)
    assert (running, most) == (0, 3)
    await pool.close()


async def test_work_of_one_key_runs_in_line_and_of_others_beside_it() -> None:
    pool = TaskPool()
    done: list[str] = []
    gate = asyncio.Event()
    pool.in_line("a", _note_after(done, "a1", gate))
    pool.in_line("a", _note(done, "a2"))
    pool.in_line("b", _note(done, "b1"))
    await asyncio.sleep(0.01)
    assert done == ["b1"]
    assert pool.in_flight("a") and not pool.in_flight("b")
    gate.set()
    await asyncio.sleep(0.01)
    assert done == ["b1", "a1", "a2"]
    assert not pool.in_flight("a")
    await pool.close()


async def test_work_that_has_ended_is_not_in_flight_although_its_callbacks_have_not_run() -> None:
    pool = TaskPool()
    loop = asyncio.get_running_loop()
    seen: asyncio.Future[bool] = loop.create_future()

    async def last_word() -> None:
        loop.call_soon(lambda: seen.set_result(pool.in_flight("a")))

    pool.in_line("a", last_word())
    assert not await asyncio.wait_for(seen, 10)
    await pool.close()


async def test_what_comes_instead_ends_all_that_is_in_line_before_it() -> None:
    pool = TaskPool()
    done: list[str] = []
    never = asyncio.Event()
    pool.in_line("a", _note_after(done, "runs", never))
    pool.in_line("a", _note(done, "waits"))
    await asyncio.sleep(0.01)
    pool.in_line("a", _note(done, "instead"), instead=True)
    pool.in_line("a", _note(done, "after"))
    await asyncio.sleep(0.01)
    assert done == ["instead", "after"]
    await pool.close()


async def test_the_first_error_is_kept_and_does_not_stop_the_others() -> None:
    pool = TaskPool()
    done: list[str] = []
    pool.spawn(_raise(ValueError("first")))
    pool.in_line("a", _raise(ValueError("second")))
    pool.in_line("a", _note(done, "goes on"))
    with pytest.raises(ValueError, match="first"):
        await asyncio.wait_for(pool.failed, 1)
    await asyncio.sleep(0.01)
    assert done == ["goes on"]
    await pool.close()


async def test_an_error_of_a_line_may_have_a_hearer_of_its_own() -> None:
    pool = TaskPool()
    heard: list[str] = []
    pool.in_line("a", _raise(ValueError("mine")), on_error=lambda error: heard.append(str(error)))
    await asyncio.sleep(0.01)
    assert heard == ["mine"]
    assert not pool.failed.done()
    await pool.close()


async def test_close_waits_for_what_cleans_up_after_itself() -> None:
    pool = TaskPool()
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            done.append("cleaned up")

    pool.spawn(work())
    await asyncio.sleep(0)
    await pool.close()
    assert done == ["cleaned up"]
