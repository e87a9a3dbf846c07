"""What an agent learns of its models' memory, whom it blames when memory runs out, and what a worker reports of it."""

from __future__ import annotations

import pytest

from pocket3d.contracts.commands import BidPlaced
from pocket3d.contracts.worker_frames import Shortage
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.engine.shortage import HOST, blame_others
from pocket3d.gpu_agents.placement.estimates import Estimates
from support.agent_rig import AgentRig, adapter, fixed, gpu

# ---------------------------------------------------------------- learned figures


def after(peaks: list[int], lower_after: int | None = 3, declared_mb: int = 10_000) -> int:
    learned = Estimates(5, lower_after)
    for peak in peaks:
        learned.peaks["a", "d", None].append(peak)
    return learned.requirement_mb("a", "d", declared_mb, 16_000)


@pytest.mark.parametrize(
    ("peaks", "requirement_mb"),
    [
        ([], 10_000),
        ([6000, 6000], 10_000),
        ([6000, 8000, 6000], 8800),
        ([9900, 8000, 6000], 10_000),
        ([100, 100, 100], 5000),
        ([12_000], 12_000),
        ([20_000], 16_000),
        ([12_000, 6000, 6000, 6000, 6000, 6000], 6600),
    ],
    ids=["none", "too few", "greatest and a tenth", "never above", "half at least", "more", "a device's all", "falls"],
)
def test_a_requirement_follows_what_was_measured(peaks: list[int], requirement_mb: int) -> None:
    assert after(peaks) == requirement_mb


def test_a_requirement_can_be_kept_from_falling() -> None:
    assert after([6000] * 5, lower_after=None) == 10_000


def claim(rig: AgentRig) -> int:
    (bid,) = rig.call().bids
    assert isinstance(bid, BidPlaced)
    return bid.claim_mb


def test_many_measured_runs_lower_a_claim_also_of_the_worker_that_is_loaded() -> None:
    rig = AgentRig([fixed(10_000)], [adapter(vram_mb=6000), adapter("beta", vram_mb=5000)], lower_after_runs=3)
    for _ in range(3):
        token = rig.take("alpha")
        rig.run(token)
        ledger = rig.engine.core.devices["fixed-0"].ledger
        assert ledger.committed_mb() == 6000
        rig.finish(token, peak_mb=4000)
    assert ledger.committed_mb() == 4400
    (worker_id,) = rig.worker_ids()
    assert rig.worker(worker_id).resident_mb == 4400
    bids = {bid.adapter_id: bid for bid in rig.call().bids}
    assert bids["beta"].evict_mb == 0, "both fit now"


def test_a_job_that_was_given_more_keeps_it() -> None:
    rig = AgentRig([fixed(10_000)], lower_after_runs=1)
    token = rig.take(vram_mb=9000)
    rig.run(token)
    ledger = rig.engine.core.devices["fixed-0"].ledger
    rig.tell(events.RunFinished(token, {}, (), 1.0, 4000))
    rig.tell(events.ResultStored(token))
    assert ledger.committed_mb() == 6000, "its worker's own, until a run without more has ended on it"
    token = rig.take()
    rig.run(token)
    rig.finish(token, peak_mb=4000)
    assert ledger.committed_mb() == 4400


# ---------------------------------------------------------------- out of memory


@pytest.mark.parametrize(
    ("held_mb", "could_hold_mb", "shortage", "others"),
    [
        (2000, 3000, None, True),
        (7500, 7600, None, False),
        (2000, 8000, None, False),
        (None, 3000, None, False),
        (2000, None, None, False),
        (None, None, Shortage(held_mb=2000, free_mb=500), True),
        (None, 20_000, Shortage(held_mb=2000, free_mb=500), True),
        (7900, 2500, Shortage(held_mb=1000, free_mb=500), False),
        (None, None, Shortage(held_mb=2000, free_mb=9000), False),
        (None, None, Shortage(), False),
        (None, None, Shortage(held_mb=2000), False),
        (None, None, Shortage(free_mb=500), False),
        (7199, 7199, None, True),
        (7200, 2000, None, False),
        (2000, 7200, None, False),
        (7900, 7900, Shortage(host=True), True),
    ],
    ids=[
        "a neighbour took it",
        "near its claim",
        "it could have had all",
        "nobody measured it",
        "no reading",
        "the worker saw it",
        "the worker's word is the later one",
        "its peak was near its claim",
        "one piece that was too large",
        "a worker that cannot tell",
        "a worker that cannot tell what is free",
        "a worker that cannot tell what it held",
        "less than nine tenths of its claim",
        "it held nine tenths",
        "it could have had nine tenths",
        "the host's",
    ],
)
def test_whose_fault_it_is(
    held_mb: int | None, could_hold_mb: int | None, shortage: Shortage | None, others: bool
) -> None:
    why = blame_others(8000, held_mb, could_hold_mb, shortage)
    assert (why is not None) == others
    if shortage is not None and shortage.host:
        assert why == HOST


def test_a_neighbours_out_of_memory_is_not_blamed_on_the_victim() -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    token = rig.take()
    rig.run(token, pid=7)
    rig.probe({"GPU-0": 500}, {"GPU-0": {7: 2000, 99: 13_500}})
    rig.tell(events.RunFailed(token, "out_of_memory", "CUDA out of memory", None, 2.0, 1900))
    failed = rig.failure(token)
    assert (failed.code, failed.more_room) == ("out_of_memory", False)
    assert failed.message == (
        "CUDA out of memory; its worker held 2000 of the 6000 MB that it was promised, and others on the device had "
        "left it 2500 MB"
    )
    assert rig.engine.core.estimates.peak_mb("alpha", "GPU-0") is None


def test_where_nobody_can_tell_what_a_worker_held_nobody_else_is_blamed() -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": None})
    token = rig.take()
    rig.run(token, pid=7)
    rig.probe({"GPU-0": 500}, {"GPU-0": None})
    rig.tell(events.RunFailed(token, "out_of_memory", "CUDA out of memory"))
    assert rig.failure(token).more_room
    assert rig.failure(token).message == "CUDA out of memory"


def test_memory_that_two_runs_filled_together_is_learned_of_neither() -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000, max_concurrent=2)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    tokens = [rig.take(), rig.take()]
    for token in tokens:
        rig.run(token, pid=7)
    rig.probe({"GPU-0": 10_000}, {"GPU-0": {7: 6000}})
    rig.tell(events.RunFailed(tokens[0], "out_of_memory", "CUDA out of memory", None, 2.0, 5900))
    assert rig.failure(tokens[0]).more_room
    assert rig.engine.core.estimates.peak_mb("alpha", "GPU-0") is None


@pytest.mark.parametrize("paused_s", [0.0, 60.0])
def test_memory_of_a_gone_worker_that_is_not_seen_free_is_given_up_after_a_while(paused_s: float) -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000)], release_wait_s=10.0, reading_s=1000.0)
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    rig.run(rig.take(), pid=7)
    rig.probe({"GPU-0": 10_000}, {"GPU-0": {7: 6000}})
    rig.tell(events.WorkerExited(rig.worker_ids()[0]))
    ledger = rig.engine.core.devices["GPU-0"].ledger
    if paused_s:
        rig.pause(paused_s)
    rig.pass_time(9.75, 0.25)
    assert ledger.committed_mb() == 6000, "a pause of the process counts for nothing"
    (told,) = [each for each in rig.pass_time(0.25) if isinstance(each, effects.PublishAdvert)]
    assert (ledger.committed_mb(), told.advert.devices[0].reserved_mb) == (0, 0)


def test_a_worker_that_was_once_near_its_claim_pays_for_itself() -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000, max_concurrent=2)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    tokens = [rig.take(), rig.take()]
    for token in tokens:
        rig.run(token, pid=7)
    rig.probe({"GPU-0": 500}, {"GPU-0": {7: 5800, 99: 9700}})
    rig.probe({"GPU-0": 500}, {"GPU-0": {7: 1500, 99: 14_000}})
    rig.tell(events.RunFailed(tokens[0], "out_of_memory", "CUDA out of memory", None, 2.0, 1000))
    assert rig.failure(tokens[0]).more_room, "its worker held 5800 of 6000 MB, though this run's own share was small"


def test_a_run_may_end_after_its_adapter_was_withdrawn() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.AdaptersDescribed(()))
    rig.finish(token, peak_mb=4000)
    assert rig.state(token) == "done"
    assert rig.engine.core.devices["fixed-0"].ledger.committed_mb() == 6000, "nobody knows what it would need now"


def test_what_two_runs_of_one_worker_took_together_is_neithers_peak() -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000, max_concurrent=2)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    first = rig.take()
    rig.run(first, pid=7)
    second = rig.take()
    rig.run(second, pid=7)
    rig.probe({"GPU-0": 11_000}, {"GPU-0": {7: 5000}})
    rig.tell(events.RunFailed(first, "adapter_error", "boom", None, 2.0, None))
    failed = rig.failure(first)
    assert (failed.vram_peak_mb, failed.beside) == (None, 0)


def test_its_own_out_of_memory_asks_for_more_room_and_is_learned() -> None:
    rig = AgentRig([gpu(16_000)], [adapter(vram_mb=6000)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    token = rig.take()
    rig.run(token, pid=7)
    rig.probe({"GPU-0": 500}, {"GPU-0": {7: 7000, 99: 8500}})
    rig.tell(events.RunFailed(token, "out_of_memory", "CUDA out of memory", None, 2.0, 6500))
    assert rig.failure(token).more_room
    assert rig.failure(token).message == "CUDA out of memory"
    assert rig.engine.core.estimates.peak_mb("alpha", "GPU-0") == 7000


@pytest.mark.parametrize("where", ["run", "load", "killed"])
def test_the_hosts_memory_is_no_requirement_of_the_device(where: str) -> None:
    rig = AgentRig()
    token = rig.take()
    (worker_id,) = rig.worker_ids()
    if where == "load":
        rig.fetch(token)
        rig.tell(events.WorkerReady(worker_id, 7))
        rig.tell(events.LoadFailed(worker_id, "out_of_memory", "MemoryError", Shortage(host=True)))
    else:
        rig.run(token)
        if where == "run":
            rig.tell(events.RunFailed(token, "out_of_memory", "MemoryError", shortage=Shortage(host=True)))
        else:
            rig.tell(events.WorkerExited(worker_id, "out_of_memory", "it held 9000 MB, its limit is 8000 MB"))
    failed = rig.failure(token)
    assert (failed.code, failed.more_room) == ("out_of_memory", False)


def test_other_failures_say_nothing_of_room() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.run(token)
    rig.tell(events.RunFailed(token, "adapter_error", "boom"))
    assert rig.failure(token).more_room


# ---------------------------------------------------------------- what a worker reports


def test_what_a_worker_says_that_it_holds_counts_where_the_driver_does_not_tell() -> None:
    rig = AgentRig([gpu(24_000)], [adapter(vram_mb=16_000), adapter("beta", vram_mb=6000)])
    rig.probe({"GPU-0": 24_000}, {"GPU-0": None})
    token = rig.take("alpha")
    rig.fetch(token)
    (worker_id,) = rig.worker_ids()
    rig.start_worker(worker_id, 7, vram_mb=4000)
    ledger = rig.engine.core.devices["GPU-0"].ledger
    for held in (4000, 12_000, 16_000, 4000):
        rig.tell(events.WorkerHolds(worker_id, held))
        rig.probe({"GPU-0": 24_000 - held}, {"GPU-0": None})
        assert ledger.room(rig.now.mono).available_mb == 7000, f"it holds {held} MB"
    rig.tell(events.WorkerHolds("nobody", 1))
    assert [bid.adapter_id for bid in rig.call().bids if bid.slots and not bid.warm] == ["beta"]
    assert not [each for each in rig.log if isinstance(each, effects.StopWorker)]
