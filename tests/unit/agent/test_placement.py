"""Where a job would run, what it would claim there, and who would have to leave."""

from __future__ import annotations

import pytest

from pocket3d.contracts.variants import Choice
from pocket3d.gpu_agents.placement.placement import Placement, eviction_order, place
from support.agent_rig import AgentRig, adapter, cpu, fixed, gpu


def found(rig: AgentRig, adapter_id: str = "alpha", asked_mb: int | None = None) -> object:
    """What its only device says to a job."""
    (device,) = rig.engine.core.devices.values()
    described = rig.engine.core.adapters[adapter_id]
    choice = Choice(None, 0, described.vram_mb, asked_mb)
    return place(device, described, choice, rig.engine.core.estimates, rig.now.mono)


@pytest.mark.parametrize(
    ("idle_mb", "asked_mb", "resident_mb", "next_mb"),
    [(None, None, 6000, 0), (2000, None, 2000, 4000), (2000, 1500, 1500, 0), (None, 9000, 6000, 3000)],
    ids=["one claim for all", "idle it holds less", "a job that needs less than that", "a job that needs more"],
)
def test_a_new_worker_claims_its_own_and_each_further_job_the_rest(
    idle_mb: int | None, asked_mb: int | None, resident_mb: int, next_mb: int
) -> None:
    rig = AgentRig(adapters=[adapter(idle_vram_mb=idle_mb)])
    need_mb = asked_mb or 6000
    assert found(rig, asked_mb=asked_mb) == Placement(None, need_mb, resident_mb, need_mb, next_mb)


def test_a_loaded_worker_claims_only_what_a_job_needs_beyond_it() -> None:
    rig = AgentRig()
    worker = rig.worker(rig.warm())
    assert found(rig) == Placement(worker, 6000, 6000, 0, 0)
    assert found(rig, asked_mb=7000) == Placement(worker, 7000, 6000, 1000, 1000)


@pytest.mark.parametrize("warm", [False, True])
def test_what_no_device_of_that_size_can_hold_never_fits(warm: bool) -> None:
    """Not even on a loaded worker, whose claim alone would be small enough: it is said, or the job waits for ever."""
    rig = AgentRig([gpu(16_000, buffer_mb=1000)])
    rig.probe({"GPU-0": 16_000}, {"GPU-0": {}})
    if warm:
        rig.warm()
    assert isinstance(found(rig, asked_mb=15_000), Placement)
    assert found(rig, asked_mb=15_001) == ("vram_total", 15_001, 15_000)


def test_a_job_for_another_kind_of_device_is_not_told_to_find_more_memory() -> None:
    rig = AgentRig([cpu(8000)])
    assert found(rig, asked_mb=9000) == ("device_kind", 1, 0)


def test_an_adapter_that_names_no_number_takes_one_job() -> None:
    rig = AgentRig(adapters=[adapter(max_concurrent=0)])
    assert isinstance(found(rig), Placement)
    (bid,) = rig.call(jobs=3).bids
    assert (bid.slots, bid.max_concurrent) == (1, 1)


def test_idle_workers_leave_one_after_the_other_until_there_is_room() -> None:
    rig = AgentRig([fixed(16_000)], [adapter(name, 4000) for name in ("a", "b", "c")] + [adapter("large", 9000)])
    workers = [rig.worker(rig.warm(name, pid=number)) for number, name in enumerate("abc", 1)]
    placed = found(rig, "large")
    assert isinstance(placed, Placement)
    assert placed.evict == tuple(workers[:2])
    assert placed.waits_for == tuple(worker.worker_id for worker in workers[:2])


def order(rig: AgentRig) -> list[str]:
    (device,) = rig.engine.core.devices.values()
    found = eviction_order(device, None, rig.engine.core.estimates, rig.now.mono)
    return [worker.adapter_id for worker in found]


def test_who_is_idle_longest_leaves_first() -> None:
    rig = AgentRig(adapters=[adapter(name, 4000) for name in "ab"])
    rig.warm("b", pid=1)
    rig.pass_time(10)
    rig.warm("a", pid=2)
    assert order(rig) == ["b", "a"]


def test_who_takes_long_to_load_stays_longer() -> None:
    rig = AgentRig(adapters=[adapter(name, 4000) for name in "ab"])
    slow = rig.worker(rig.warm("a", pid=1))
    quick = rig.worker(rig.warm("b", pid=2))
    learned = rig.engine.core.estimates.loads
    for worker, load_s, idle_s in ((slow, 60.0, 30.0), (quick, 2.0, 2.0)):
        learned[worker.key].clear()
        learned[worker.key].append(load_s)
        worker.idle_since = rig.now.mono - idle_s
    assert order(rig) == ["b", "a"], "idle for as long as it loads, not for half of that"
    quick.pinned = True
    assert order(rig) == ["a", "b"], "an operator wants it warm"


def test_on_the_cpu_lane_a_job_is_promised_a_tenth_more_than_was_measured_and_on_a_gpu_just_that() -> None:
    """There memory follows the files, here it is mostly the model's."""
    for device, promised_mb in ((cpu(8000), 3300), (fixed(8000), 3000)):
        rig = AgentRig([device], [adapter(vram_mb=1000, devices=["cuda", "cpu"])])
        if device.kind == "cpu":
            rig.probe({device.id: 8000})
        rig.engine.core.estimates.note_peak(("alpha", device.id, None), None, 3000)
        placed = found(rig)
        assert isinstance(placed, Placement) and placed.need_mb == promised_mb
