"""One predicate for "does it fit": each dimension, the margins, and what a refusal says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.contracts.fit import Need, Room, Shortfall, fits

ROOM = Room(kind="cuda", total_mb=24_576, free_mb=20_000, reserved_mb=4_000, buffer_mb=1_024)


def need(vram_mb: int, kinds: tuple[str, ...] = ("cuda",), slots: int = 1) -> Need:
    return Need(vram_mb, kinds, slots)


def test_available_is_free_less_promises_less_buffer() -> None:
    assert ROOM.available_mb == 20_000 - 4_000 - 1_024


def test_what_just_fits_fits_and_one_more_mb_does_not() -> None:
    assert fits(need(14_976), ROOM) is None
    assert fits(need(14_977), ROOM) == Shortfall("vram", 14_977, 14_976)
    assert Shortfall("vram", 14_977, 14_976).short == 1


def test_an_empty_device_has_room_for_all_but_its_buffer() -> None:
    empty = Room.empty("cuda", 24_576, 1_024)
    assert fits(need(23_552), empty) is None
    assert fits(need(23_553), empty) == Shortfall("vram_total", 23_553, 23_552)


def test_what_could_never_fit_says_so_whatever_is_free() -> None:
    assert fits(need(23_553), ROOM._replace(free_mb=10**6)) == Shortfall("vram_total", 23_553, 23_552)


def test_the_kind_of_device_is_asked_first() -> None:
    assert fits(need(10**6, kinds=("cpu",)), ROOM) == Shortfall("device_kind", 1, 0)
    assert fits(need(1, kinds=("cpu", "cuda")), ROOM) is None
    assert fits(need(1, kinds=()), ROOM) == Shortfall("device_kind", 1, 0)


def test_slots_and_running_jobs_are_dimensions_too() -> None:
    assert fits(need(1, slots=0), ROOM) == Shortfall("max_concurrent", 1, 0)
    capped = ROOM._replace(max_running=2, running=2)
    assert fits(need(1), capped) == Shortfall("max_running", 3, 2)
    assert fits(need(1), capped._replace(running=1)) is None


def test_a_warm_worker_with_a_free_slot_fits_where_others_squeezed_the_device() -> None:
    squeezed = ROOM._replace(free_mb=0)
    assert squeezed.available_mb < 0
    assert fits(need(0), squeezed) is None
    assert fits(need(1), squeezed) == Shortfall("vram", 1, squeezed.available_mb)


MB = st.integers(min_value=0, max_value=100_000)


@given(vram=MB, total=MB, free=MB, reserved=MB, buffer=MB)
def test_a_fit_never_promises_more_than_there_is(vram: int, total: int, free: int, reserved: int, buffer: int) -> None:
    room = Room("cuda", total, free, reserved, buffer)
    shortfall = fits(need(vram), room)
    if shortfall is None:
        assert vram <= total - buffer or vram == 0
        assert vram == 0 or reserved + vram + buffer <= free
    else:
        assert shortfall.short > 0


@pytest.mark.parametrize("more", [1, 1000])
@given(vram=MB, free=MB)
def test_more_free_memory_never_turns_a_fit_into_a_refusal(more: int, vram: int, free: int) -> None:
    room = Room("cuda", 100_000, free, 0, 0)
    if fits(need(vram), room) is None:
        assert fits(need(vram), room._replace(free_mb=free + more)) is None


@given(vram=MB, total=MB, free=MB, reserved=MB, buffer=MB)
def test_what_fits_a_device_now_fits_it_when_it_is_empty(
    vram: int, total: int, free: int, reserved: int, buffer: int
) -> None:
    """Else a job whose agents are never invited would have fitted."""
    if fits(need(vram), Room("cuda", total, min(free, total), reserved, buffer)) is None:
        assert fits(need(vram), Room.empty("cuda", total, buffer)) is None
