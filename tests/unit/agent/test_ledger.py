"""One device's memory, on values."""

from __future__ import annotations

import pytest

from pocket3d.contracts.fit import Need, fits
from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.placement.ledger import DeviceLedger, LedgerError
from support.agent_rig import cpu, fixed, gpu


def ledger(device: object = None, **changes: float) -> DeviceLedger:
    book = DeviceLedger(device or gpu(), changes.get("reading_s", 10.0), changes.get("release_wait_s", 5.0))  # type: ignore[arg-type]
    if not book.device.simulated:
        book.read(Reading(book.device.total_mb, {}), 0.0)
    return book


def test_a_simulated_device_is_filled_by_claims_alone() -> None:
    book = ledger(fixed(10_000))
    book.add("w1", 6000)
    room = book.room(0.0)
    assert (room.free_mb, room.reserved_mb, room.available_mb) == (10_000, 6000, 4000)
    with pytest.raises(LedgerError):
        book.add("w2", 4001)


def test_the_buffer_is_never_promised() -> None:
    book = ledger(gpu(10_000, buffer_mb=1000))
    with pytest.raises(LedgerError):
        book.add("w1", 9001)


def test_a_claim_counts_as_reserved_only_until_the_probe_sees_it() -> None:
    book = ledger()
    book.add("w1", 6000)
    assert book.room(0.0).available_mb == 16_000 - 6000 - 1000
    book.hold_process("w1", 7)
    book.read(Reading(12_000, {7: 4000}), 1.0)
    room = book.room(1.0)
    assert (room.free_mb, room.reserved_mb) == (12_000, 2000)
    assert room.available_mb == 9000
    book.read(Reading(10_000, {7: 6000}), 2.0)
    assert book.room(2.0).available_mb == 9000


def test_other_processes_are_respected() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(7000, {7: 6000, 99: 3000}), 1.0)
    assert book.room(1.0).available_mb == 6000
    assert fits(Need(6001, ("cuda",)), book.room(1.0)) is not None


def test_a_worker_that_uses_more_than_it_was_promised_is_seen() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(6000, {7: 10_000}), 1.0)
    assert book.room(1.0).available_mb == 5000
    assert book.room(1.0, without=["w1"]).available_mb == 15_000, "evicting it frees all that it uses"


def test_where_processes_are_not_told_apart_the_reported_load_is_what_is_visible() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(11_000, None), 1.0)
    assert book.room(1.0).available_mb == 11_000 - 6000 - 1000, "unknown use counts twice, the safe side"
    book.hold_reported("w1", 4500)
    assert book.room(1.0).available_mb == 11_000 - 1500 - 1000


def test_a_container_whose_driver_shows_other_pids_falls_back_to_the_report() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.hold_reported("w1", 6000)
    book.read(Reading(10_000, {31_007: 6000}), 1.0)
    assert book.room(1.0).available_mb == 9000


def test_a_container_does_not_fill_to_half() -> None:
    """Where the driver lists processes with 0 bytes (`used_by_pid` is None then) every resident counted twice: in the
    free figure, and by its whole claim.
    """
    book = ledger(gpu(24_000, buffer_mb=1000))
    free = 24_000
    for number, (claim, used) in enumerate([(8000, 7000), (8000, 8000), (6000, 5500)]):
        assert book.room(1.0).available_mb >= claim
        key = f"w{number}"
        book.add(key, claim)
        book.hold_process(key, 100 + number)
        free -= used
        book.hold_reported(key, used)
        book.read(Reading(free, None), 1.0)
        unused = sum(book.claim_mb(each) for each in book._claims) - (24_000 - free)
        assert book.room(1.0).available_mb == free - 1000 - unused
    assert book.room(1.0).available_mb == 1000


def test_a_worker_that_uses_more_while_it_runs_says_so_where_the_driver_does_not() -> None:
    book = ledger(gpu(24_000, buffer_mb=1000))
    book.add("w1", 16_000)
    book.hold_process("w1", 7)
    book.hold_reported("w1", 4000)
    book.read(Reading(20_000, None), 1.0)
    assert book.room(1.0).available_mb == 7000
    book.read(Reading(12_000, None), 2.0)
    assert book.room(2.0).available_mb == -1000, "its growth counts twice until it is reported"
    book.hold_reported("w1", 12_000)
    assert book.room(2.0).available_mb == 7000
    book.hold_reported("w1", 4000)
    book.read(Reading(20_000, None), 3.0)
    assert book.room(3.0).available_mb == 7000


def test_what_a_workers_children_hold_is_the_workers() -> None:
    """UniRig's steps run in children, in sessions of their own."""
    book = ledger(gpu(24_000, buffer_mb=1000))
    book.add("rig", 9000)
    book.hold_process("rig", 7)
    book.read(Reading(24_000, {}), 1.0)
    assert book.room(1.0).available_mb == 14_000
    parents = {7: 1, 71: 7, 711: 71, 9: 1}
    book.read(Reading(12_000, {711: 8000, 9: 4000}, parents=parents), 2.0)
    assert book.seen_mb("rig") == 8000
    assert book.room(2.0).available_mb == 12_000 - 1000 - 1000, "of the claim 1000 MB are not used yet"
    book.read(Reading(11_500, {711: 8000, 71: 500, 9: 4000}, parents=parents), 3.0)
    assert book.room(3.0).available_mb == 11_500 - 500 - 1000
    book.read(Reading(20_000, {9: 4000}, parents=parents), 4.0)
    assert book.room(4.0).available_mb == 20_000 - 9000 - 1000, "the next step needs it again"


def test_a_gone_workers_memory_is_free_when_its_children_are_off_the_device() -> None:
    book = ledger()
    book.add("rig", 9000)
    book.hold_process("rig", 7)
    book.read(Reading(8000, {71: 8000}, parents={71: 7, 7: 1}), 1.0)
    book.exited("rig", 2.0)
    assert book.read(Reading(8000, {71: 8000}, parents={71: 1}), 2.1) == [], "an orphan that is being killed"
    assert book.read(Reading(16_000, {}), 2.2) == ["rig"]


def test_a_driver_that_stops_telling_falls_back_to_the_report() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.hold_reported("w1", 5000)
    book.read(Reading(10_000, {7: 6000}), 1.0)
    book.read(Reading(10_000, None), 2.0)
    assert book.room(2.0).available_mb == 10_000 - 1000 - 1000
    book.read(Reading(0, None, "GPU is lost"), 3.0)
    book.read(Reading(10_000, {7: 6000}), 4.0)
    assert book.room(4.0).available_mb == 9000


def test_a_worker_that_was_told_to_end_is_free_as_soon_as_it_is_gone_without_pids() -> None:
    """It frees its memory while it shuts down: measured from its exit on, nothing becomes free any more."""
    book = ledger(release_wait_s=10.0)
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.hold_reported("w1", 5000)
    book.read(Reading(10_500, None), 1.0)
    book.end("w1")
    assert book.read(Reading(15_800, None), 2.0) == []
    book.exited("w1", 2.5)
    assert book.read(Reading(15_800, None), 3.0) == ["w1"]


def test_what_others_take_while_a_worker_ends_is_not_waited_for() -> None:
    book = ledger(gpu(24_000, buffer_mb=1000))
    for key, mb, pid in (("old", 8000, 7), ("other", 9000, 8)):
        book.add(key, mb)
        book.hold_process(key, pid)
    book.hold_reported("old", 8000)
    book.hold_reported("other", 2000)
    book.read(Reading(14_000, None), 1.0)
    book.end("old")
    book.hold_reported("other", 8000)
    book.read(Reading(8000, None), 2.0)
    book.exited("old", 2.5)
    assert book.read(Reading(8000, None), 3.0) == []
    assert book.read(Reading(16_000, None), 3.5) == ["old"]


def test_a_gone_workers_claim_stays_until_its_process_is_off_the_device() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(10_000, {7: 6000}), 1.0)
    book.exited("w1", 2.0)
    assert book.claim_mb("w1") == 6000
    assert book.read(Reading(16_000, {}), 1.5) == [], "measured before it was gone"
    assert book.read(Reading(10_000, {7: 6000}), 2.1) == [], "the driver still shows it"
    assert book.room(2.1).available_mb == 9000
    assert book.read(Reading(16_000, {}), 2.2) == ["w1"]
    assert book.room(2.2).available_mb == 15_000


def test_without_pids_memory_is_free_when_the_free_figure_has_risen() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.hold_reported("w1", 5000)
    book.read(Reading(10_500, None), 1.0)
    book.exited("w1", 2.0)
    assert book.read(Reading(12_000, None), 2.5) == []
    assert book.read(Reading(15_500, None), 3.0) == ["w1"]


def test_the_wait_for_memory_that_is_never_seen_free_is_bounded() -> None:
    book = ledger(release_wait_s=5.0)
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(10_000, {7: 6000}), 1.0)
    book.exited("w1", 2.0)
    book.read(Reading(10_000, {7: 6000}), 3.0)
    assert book.release_overdue(6.9) == []
    assert book.release_overdue(7.0) == ["w1"]
    assert book.room(7.0).available_mb == 9000, "what is measured as used stays used"


def test_a_pause_lengthens_that_wait() -> None:
    book = ledger(release_wait_s=5.0)
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.exited("w1", 2.0)
    book.postpone(60.0)
    assert book.release_overdue(62.0) == []
    assert book.release_overdue(67.0) == ["w1"]


@pytest.mark.parametrize("device", [fixed(), cpu()])
def test_budgeted_memory_is_free_once_the_worker_is_gone(device: object) -> None:
    book = ledger(device)
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.exited("w1", 1.0)
    assert book.committed_mb() == 0


def test_the_cpu_lane_is_bounded_by_its_budget_and_by_the_machine() -> None:
    book = ledger(cpu(8000))
    book.add("w1", 3000)
    assert book.room(0.0).available_mb == 5000
    book.read(Reading(4000), 1.0)
    assert book.room(1.0).available_mb == 1000


def test_evicted_memory_is_promised_once() -> None:
    book = ledger(fixed(10_000))
    book.add("old", 6000)
    book.add("other", 3000)
    book.add("new", 7000, waits_for=["old"])
    assert book.committed_mb() == 10_000
    assert book.room(0.0).available_mb == 0
    assert book.waits_for("new") == {"old"}
    book.exited("old", 1.0)
    assert book.waits_for("new") == frozenset()
    assert book.committed_mb() == 10_000


def test_a_smaller_successor_offers_the_rest_only_when_the_old_one_is_gone() -> None:
    book = ledger(fixed(10_000))
    book.add("old", 6000)
    book.add("new", 2000, waits_for=["old"])
    assert book.room(0.0).available_mb == 4000
    book.exited("old", 1.0)
    assert book.room(1.0).available_mb == 8000


def test_a_plan_given_up_gives_back_what_it_waited_for() -> None:
    book = ledger(fixed(10_000))
    book.add("old", 6000)
    book.end("old")
    book.add("new", 9000, waits_for=["old"])
    book.drop("new")
    assert book.committed_mb() == 6000
    assert book.waited_for() == set()
    assert book.ending() == ["old"]


def test_nobody_waits_for_memory_that_is_promised_already() -> None:
    book = ledger(fixed(10_000))
    book.add("old", 6000)
    book.add("new", 2000, waits_for=["old"])
    with pytest.raises(LedgerError):
        book.add("third", 2000, waits_for=["old"])


def test_extras_of_runs_come_and_go() -> None:
    book = ledger(fixed(10_000))
    book.add("w1", 6000)
    book.add_extra("w1", "t1", 2000)
    assert book.claim_mb("w1") == 8000
    with pytest.raises(LedgerError):
        book.add_extra("w1", "t2", 3000)
    book.drop_extra("w1", "t2")
    book.drop_extra("w1", "t1")
    assert book.claim_mb("w1") == 6000


def test_a_device_that_is_not_measured_offers_nothing() -> None:
    book = DeviceLedger(gpu(), 10.0, 5.0)
    assert book.unavailable(0.0) is not None
    assert book.room(0.0).free_mb == 0
    book.read(Reading(16_000, {}), 0.0)
    assert book.unavailable(9.0) is None
    assert "last measured" in (book.unavailable(11.0) or "")
    assert book.room(11.0).free_mb == 0
    book.read(Reading(0, None, "the GPU fell off the bus"), 12.0)
    assert book.unavailable(12.0) == "the GPU fell off the bus"


def test_a_reading_above_the_total_is_no_gift() -> None:
    book = ledger(gpu(16_000))
    book.read(Reading(99_000, {}), 1.0)
    assert book.room(1.0).free_mb == 16_000


def test_what_is_not_known_has_no_claim() -> None:
    assert ledger().claim_mb("nobody") == 0
    assert ledger().seen_mb("nobody") is None


def test_a_worker_that_ended_by_itself_is_ending_until_its_memory_is_free() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(10_000, {7: 6000}), 1.0)
    book.exited("w1", 2.0)
    assert book.ending() == ["w1"]
    assert book.read(Reading(16_000, {}), 3.0) == ["w1"]
    assert book.ending() == []


def test_a_worker_may_be_told_to_end_before_the_device_was_measured() -> None:
    """What it frees is all that is waited for, less what drivers round."""
    book = DeviceLedger(gpu(), 10.0, 5.0)
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.hold_reported("w1", 5000)
    book.end("w1")
    book.exited("w1", 1.0)
    assert book.read(Reading(5000 - 65, None), 2.0) == []
    assert book.read(Reading(5000 - 64, None), 3.0) == ["w1"]


def test_a_worker_is_not_ending_before_it_is_told_so() -> None:
    book = ledger()
    book.add("w1", 6000)
    assert book.ending() == []


def test_memory_is_unreleased_while_any_gone_worker_is_not_seen_free() -> None:
    book = ledger()
    for key, pid in (("w1", 7), ("w2", 8)):
        book.add(key, 6000)
        book.hold_process(key, pid)
    assert not book.unreleased()
    book.exited("w1", 1.0)
    assert book.unreleased()
    book.read(Reading(16_000, None), 2.0)
    assert not book.unreleased()


def test_what_a_worker_could_hold_is_what_it_holds_and_what_is_free() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(3000, {7: 6000, 99: 7000}), 1.0)
    assert book.could_hold_mb("w1") == 9000
    assert book.could_hold_mb("nobody") is None
    book.read(Reading(0, None, "GPU is lost"), 2.0)
    assert book.could_hold_mb("w1") is None, "nothing was measured"


@pytest.mark.parametrize("device", [gpu(), fixed(), cpu()])
def test_it_is_not_known_without_a_reading_of_the_device_that_shows_workers(device: DeviceSpec) -> None:
    book = DeviceLedger(device, 10.0, 5.0)
    book.add("w1", 6000)
    assert book.could_hold_mb("w1") is None
    if device.budgeted:
        book.read(Reading(3000), 1.0)
        assert book.could_hold_mb("w1") is None


def test_a_worker_may_be_promised_less_later_and_more_up_to_what_there_is() -> None:
    book = ledger(fixed(10_000))
    book.add("w1", 6000)
    book.promise("w1", 4000)
    assert (book.claim_mb("w1"), book.room(0.0).available_mb) == (4000, 6000)
    book.promise("w1", 10_000)
    with pytest.raises(LedgerError):
        book.promise("w1", 10_001)


def test_memory_that_others_take_at_once_is_not_waited_for_where_processes_show() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(10_000, {7: 6000}), 1.0)
    book.exited("w1", 2.0)
    assert book.read(Reading(10_000, {99: 6000}), 2.1) == ["w1"]


def test_of_a_gone_worker_what_was_seen_last_stands() -> None:
    book = ledger()
    book.add("w1", 6000)
    book.hold_process("w1", 7)
    book.read(Reading(10_000, {7: 6000}), 1.0)
    book.exited("w1", 2.0)
    assert book.read(Reading(10_000, None), 2.1) == []
    assert (book.seen_mb("w1"), book.room(2.1).available_mb) == (6000, 9000), "its memory counts once"
