"""What an agent learns of its runs by the size of their files, and what it books on the CPU lane for that."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from pocket3d.contracts.commands import BidPlaced
from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.gpu_agents.devices.spec import DeviceSpec
from pocket3d.gpu_agents.engine import events
from pocket3d.gpu_agents.placement.estimates import Estimates
from support.agent_rig import AgentRig, adapter, cpu, fixed

KEY = ("alpha", "cpu-0", None)
SMALL, LARGE = 5_000, 5_000_000


def lane(total_mb: int = 8000, *more: AdapterDescription, device: DeviceSpec | None = None, **changes: Any) -> AgentRig:
    """A CPU lane with an adapter that declares 500 MB."""
    alpha = adapter(vram_mb=500, **{"devices": ["cpu", "cuda"], **changes})
    rig = AgentRig([device or cpu(total_mb)], [alpha, *more])
    rig.probe({rig.engine.core.devices.copy().popitem()[0]: total_mb})
    return rig


def bid(rig: AgentRig, size_class: str | None, adapter_id: str = "alpha") -> BidPlaced:
    found = {each.adapter_id: each for each in rig.call(size_class=size_class).bids}
    return found[adapter_id]


def run(
    rig: AgentRig, size: int, peak_mb: int | None, held_mb: int | None = 100, *, run_s: float = 4.0, **award: Any
) -> None:
    """One job with files of that size, from its award to its result."""
    token = rig.take(**award)
    rig.tell(events.InputsFetched(token, {}, "/j", "/j/out", size))
    worker = rig.run_of(token).worker
    if not worker.loaded:
        rig.start_worker(worker.worker_id)
    rig.tell(events.RunFinished(token, {}, (), run_s, host_peak_mb=peak_mb, host_held_mb=held_mb))
    assert rig.run_of(token).vram_peak_mb == (peak_mb if rig.worker(worker.worker_id).device == "cpu-0" else None)
    rig.tell(events.ResultStored(token))
    rig.note()


def committed(rig: AgentRig) -> int:
    (device,) = rig.engine.core.devices.values()
    return device.ledger.committed_mb()


# ---------------------------------------------------------------- bids


def test_a_bid_says_what_runs_of_that_size_took() -> None:
    rig = lane()
    for seconds, peak in ((4.0, 300), (6.0, 700), (50.0, 400)):
        run(rig, LARGE, peak, run_s=seconds)
    run(rig, SMALL, 200, run_s=1.0)
    large, small, other, unsaid = (bid(rig, each) for each in ("8MiB", "64KiB", "512MiB", None))
    assert (large.size_class, large.expected_run_s, large.expected_mb) == ("8MiB", 6.0, 700)
    assert (small.expected_run_s, small.expected_mb) == (1.0, 200)
    assert (other.size_class, other.expected_run_s, other.expected_mb) == ("512MiB", None, None)
    assert (unsaid.size_class, unsaid.expected_run_s, unsaid.est_run_s) == (None, None, 5.0)


def test_a_class_of_a_later_version_is_not_remembered() -> None:
    rig = lane()
    assert bid(rig, "2EiB").size_class is None
    run(rig, LARGE, 300)
    learned = rig.engine.core.estimates
    for number in range(100):
        assert learned.sized_run_s(KEY, f"class{number}") is None
    assert len(learned._sized_runs) <= 2, "of the run, and of all that are not known"


# ---------------------------------------------------------------- the CPU lane's ledger


@pytest.mark.parametrize(
    ("size_class", "booked_mb"),
    [("8MiB", 2200), ("64KiB", 500), ("1MiB", 500), (None, 2200)],
    ids=["as measured and a tenth", "never less than declared", "never run", "as large as any"],
)
def test_what_is_booked_for_a_size(size_class: str | None, booked_mb: int) -> None:
    learned = Estimates(5, lower_after=1)
    learned.note_peak(KEY, "8MiB", 2000)
    learned.note_peak(KEY, "64KiB", 100)
    assert learned.cpu_requirement_mb(KEY, size_class, 500, 8000) == booked_mb


def test_what_took_more_than_the_lane_has_counts_as_the_whole_lane() -> None:
    learned = Estimates(5)
    learned.note_peak(KEY, "8MiB", 20_000)
    assert learned.cpu_requirement_mb(KEY, "8MiB", 500, 8000) == 8000


def test_a_later_run_of_that_size_is_booked_as_the_first_was_measured() -> None:
    beta = adapter("beta", vram_mb=500, devices=["cpu"])
    rig = lane(3000, beta)
    run(rig, LARGE, 2000)
    assert bid(rig, "8MiB").claim_mb == 0, "the worker is promised it by now"
    award = structs.replace(rig.make_award(), size_class="8MiB")
    rig.give(award)
    assert committed(rig) == 2200
    token = rig.take("beta")
    assert rig.refused("beta").reason is not None, "one at a time"
    assert committed(rig) == 2700
    assert rig.run_of(token).worker.resident_mb == 500


def test_a_run_that_needs_more_than_its_worker_has_claims_the_rest_and_gives_it_back() -> None:
    rig = lane()
    run(rig, LARGE, 2000)
    run(rig, SMALL, 200)
    assert committed(rig) == 500, "it ran a small one last, and holds little"
    offered = bid(rig, "8MiB")
    assert (offered.claim_mb, offered.warm, offered.stands) == (1700, True, False)
    assert bid(rig, "64KiB").stands


def test_a_job_that_is_cancelled_before_it_runs_changes_no_booking() -> None:
    rig = lane()
    run(rig, LARGE, 2000)
    run(rig, SMALL, 200)
    award = structs.replace(rig.make_award(), size_class="8MiB")
    rig.give(award)
    assert committed(rig) == 2200
    rig.cancel(award.token)
    assert committed(rig) == 500, "what it ran last was small"


def test_what_a_worker_goes_on_holding_stays_booked() -> None:
    rig = lane()
    run(rig, LARGE, 2000)
    run(rig, SMALL, 1900, held_mb=1800)
    (worker_id,) = rig.worker_ids()
    assert (committed(rig), rig.worker(worker_id).resident_mb) == (2090, 2090)
    run(rig, SMALL, 300, held_mb=2500)
    assert committed(rig) == 2500


def test_no_more_than_the_lane_has_is_ever_promised() -> None:
    beta = adapter("beta", vram_mb=700, devices=["cpu"])
    rig = lane(2000, beta)
    token = rig.take("beta")
    rig.run(token)
    run(rig, LARGE, 5000, held_mb=4000)
    assert committed(rig) == 2000
    assert rig.refused("alpha", vram_mb=2000).reason is not None


@pytest.mark.parametrize(
    ("total_mb", "booked_mb"),
    [(2901, 2200), (2900, 2200), (2899, 500), (1200, 500)],
    ids=["more than enough", "just enough", "a little less", "none"],
)
def test_what_the_next_run_would_need_is_booked_only_where_there_is_room_for_it(total_mb: int, booked_mb: int) -> None:
    beta = adapter("beta", vram_mb=700, devices=["cpu"])
    rig = lane(total_mb, beta)
    token = rig.take("beta")
    rig.run(token)
    run(rig, LARGE, 2000)
    assert committed(rig) - 700 == booked_mb


@pytest.mark.parametrize("held_mb", [300, None])
def test_a_run_may_end_after_its_adapter_was_withdrawn(held_mb: int | None) -> None:
    rig = lane()
    token = rig.take()
    rig.run(token)
    rig.tell(events.AdaptersDescribed(()))
    rig.tell(events.RunFinished(token, {}, (), 4.0, host_peak_mb=2000, host_held_mb=held_mb))
    rig.tell(events.ResultStored(token))
    assert (rig.state(token), committed(rig)) == ("done", 500)


def test_an_adapter_that_says_what_it_keeps_is_promised_that() -> None:
    rig = lane(idle_vram_mb=150)
    run(rig, LARGE, 2000, held_mb=120)
    assert committed(rig) == 150


def test_a_worker_that_cannot_tell_is_booked_as_declared() -> None:
    rig = lane()
    run(rig, LARGE, None, held_mb=None)
    assert committed(rig) == 500
    assert bid(rig, "8MiB").expected_mb is None


def test_on_a_simulated_gpu_the_hosts_memory_counts_for_nothing() -> None:
    rig = lane(device=fixed(8000))
    run(rig, LARGE, 2000, held_mb=1900)
    assert committed(rig) == 500
    assert bid(rig, "8MiB").expected_mb is None
