"""One sick GPU of a host costs only itself: benches by device, quarantines, and where a job that failed goes next."""

from __future__ import annotations

from typing import Any

import msgspec

from pocket3d.contracts.commands import BidPlaced, CallAnswered
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.auction.benches import Benches
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, Desk, device, offer

SICK, SOUND = "GPU-sick", "GPU-sound"
BOTH = (SICK, SOUND)


def two_gpus(**changes: Any) -> AgentDouble:
    return AgentDouble(devices=[device(SICK), device(SOUND)], **changes)


def bid_on(desk: Desk, agent: AgentDouble, *devices: str, **bid: Any) -> list[effects.AwardItem]:
    """The agent bids for each lot of the open call on these devices; what is awarded."""
    (call,) = (each for each in desk.take(effects.SendCall) if each.agent_id == agent.agent_id)
    values = {"claim_mb": 1000, "slots": 1, "est_queue_s": 0.0, "est_load_s": 1.0, "est_run_s": 1.0, **bid}
    bids = [
        BidPlaced(lot=lot.lot, adapter_id=lot.feature, device=each, **values) for lot in call.lots for each in devices
    ]
    answer = CallAnswered(
        agent_id=agent.agent_id,
        incarnation=agent.incarnation,
        seq=agent.count(),
        call_id=call.call_id,
        bids=bids,
        devices=list(agent.devices),
    )
    desk.do(events.CallReturned(answer))
    return [item for sent in desk.take(effects.SendAwards) for item in sent.awards]


def fail(desk: Desk, agent: AgentDouble, where: str, *job_ids: str, code: str = "load_failed") -> None:
    """Jobs that fail on a device, one after the other."""
    for job_id in job_ids:
        desk.submit(job_id, retry={"max_attempts": 1})
        desk.until(effects.SendCall, agent)
        (item,) = bid_on(desk, agent, where)
        desk.failed(agent, item, code)
        desk.hear(agent)


# ---------------------------------------------------------------- benches


def test_a_bench_holds_on_its_device_and_the_adapter_goes_on_beside_it() -> None:
    desk, agent = Desk(), two_gpus()
    desk.hear(agent)
    fail(desk, agent, SICK, "f1", "f2", "f3")
    desk.submit("next")
    (item,) = bid_on(desk, agent, *BOTH)
    assert item.device == SOUND, "the emptier one comes first by its id, and it is benched"
    desk.submit("waits")
    desk.until(effects.SendCall, agent)
    assert bid_on(desk, agent, SICK) == []
    assert desk.state("waits") is JobState.QUEUED
    group = desk.engine.core.queue.group_of(desk.record("waits").group_key())
    assert group is not None
    (reason,) = group.reasons["a1"]
    assert (reason.code, reason.device) == ("benched", SICK)
    assert "paused on this device for" in str(reason.message)


def test_an_agent_is_not_called_for_an_adapter_that_is_benched_on_all_its_devices() -> None:
    desk, agent = Desk(bench_s=30.0, agent_lease_s=1e9, advert_s=1e9), two_gpus()
    desk.hear(agent)
    fail(desk, agent, SICK, "f1", "f2", "f3")
    fail(desk, agent, SOUND, "f4", "f5", "f6")
    desk.submit("waits")
    assert desk.take(effects.SendCall) == []
    group = desk.engine.core.queue.group_of(desk.record("waits").group_key())
    assert group is not None and not group.unschedulable
    assert {(r.code, r.device) for r in group.reasons["a1"]} == {("benched", SICK), ("benched", SOUND)}
    desk.until(effects.SendCall)
    assert bid_on(desk, agent, SICK)[0].device == SICK, "its pause is over first, and one more job tries"


def test_the_bid_that_stood_does_not_stand_on_a_benched_device() -> None:
    desk, agent = Desk(), AgentDouble(devices=[device(SICK)])
    desk.hear(agent)
    desk.submit("warm")
    (item,) = bid_on(desk, agent, SICK, warm=True, claim_mb=0, stands=True)
    desk.see(desk.result_of(item, agent))
    desk.hear(agent)
    for number in range(3):
        desk.engine.core.fleet.benches.note_failure("a1", SICK, "echo", f"f{number}", desk.mono)
    desk.submit("next")
    assert desk.take(effects.SendAwards) == []


def benches(**settings: Any) -> Benches:
    return Benches(CoordinatorSettings(bench_after=3, bench_s=30.0, **settings))


def test_failures_on_several_devices_bench_the_adapter_on_the_whole_agent() -> None:
    made = benches()
    for number in range(3):
        made.note_failure("a", f"GPU-{number}", "echo", f"j{number}", 0.0)
    assert made.left_s("a", "GPU-7", "echo", 1.0) == 29.0
    assert made.left_s("a", "GPU-0", "other", 1.0) == made.left_s("b", "GPU-0", "echo", 1.0) == 0.0
    made.note_failure("a", "GPU-5", "echo", "j5", 40.0)
    assert made.left_s("a", "GPU-7", "echo", 40.0) == 60.0, "the first after the pause benches it again"
    made.note_success("a", "GPU-6", "echo")
    assert made.left_s("a", "GPU-7", "echo", 40.0) == 0.0


def test_a_sick_device_does_not_bench_the_agent_however_long_it_fails() -> None:
    made = benches(bench_cap_s=60.0)
    now = 0.0
    for number in range(20):
        made.note_failure("a", SICK, "echo", f"j{number}", now)
        now += 1.0 + made.left_s("a", SICK, "echo", now)
        assert made.left_s("a", SOUND, "echo", now) == 0.0
    made.note_failure("a", SOUND, "echo", "k1", now)
    made.note_failure("a", SOUND, "echo", "k2", now)
    assert made.left_s("a", SOUND, "echo", now) == 0.0, "its own failures are two"
    made.note_success("a", SOUND, "echo")
    made.note_failure("a", SICK, "echo", "last", now)
    assert made.left_s("a", SICK, "echo", now) == 60.0, "a success elsewhere says nothing of it"


def test_a_variant_that_fails_leaves_the_others_in_use() -> None:
    made = benches()
    for number in range(3):
        made.note_failure("a", SICK, "sized", f"j{number}", 0.0, "1024")
    assert made.left_s("a", SICK, "sized", 0.0, "1024") == 30.0
    assert made.left_s("a", SICK, "sized", 0.0, "512") == made.left_s("a", SOUND, "sized", 0.0, "1024") == 0.0
    # They explain nothing else: two of the other variant are two.
    for number in range(2):
        made.note_failure("a", SICK, "sized", f"k{number}", 0.0, "512")
    assert made.left_s("a", SICK, "sized", 0.0, "512") == 0.0
    made.note_success("a", SICK, "sized", "512")
    assert made.left_s("a", SICK, "sized", 0.0, "1024") == 30.0, "the other's success says nothing of it"


def test_failures_of_a_variant_on_several_devices_bench_the_variant_and_of_several_variants_the_device() -> None:
    made = benches()
    for number in range(3):
        made.note_failure("a", f"GPU-{number}", "sized", f"j{number}", 0.0, "1024")
    assert made.left_s("a", "GPU-7", "sized", 0.0, "1024") == 30.0
    assert made.left_s("a", "GPU-0", "sized", 0.0, "512") == 0.0
    for number, variant in enumerate(("512", "1536", "256")):
        made.note_failure("a", SICK, "sized", f"k{number}", 0.0, variant)
    assert made.left_s("a", SICK, "sized", 0.0, "2048") == 30.0
    assert made.left_s("a", SOUND, "sized", 0.0, "512") == 0.0


def test_what_fails_everywhere_in_every_variant_is_benched_on_the_agent() -> None:
    made = benches()
    for number, variant in enumerate(("512", "1024", "1536")):
        made.note_failure("a", f"GPU-{number}", "sized", f"j{number}", 0.0, variant)
    assert made.left_s("a", "GPU-7", "sized", 0.0, "2048") == made.left_s("a", "GPU-7", "sized", 0.0) == 30.0
    made.note_success("a", "GPU-0", "sized", "512")
    assert made.left_s("a", "GPU-7", "sized", 0.0, "2048") == 0.0


# ---------------------------------------------------------------- a job that failed


def test_a_job_that_failed_on_a_device_goes_to_another_of_the_same_agent() -> None:
    desk, agent = Desk(bench_after=99), two_gpus()
    desk.hear(agent)
    desk.submit("job", retry={"max_attempts": 4, "initial_s": 0.1, "factor": 1.0})
    devices = []
    for code in ("load_failed", "adapter_error", "worker_crashed"):
        desk.until(effects.SendCall, agent)
        (item,) = bid_on(desk, agent, *BOTH)
        devices.append(item.device)
        desk.failed(agent, item, code)
        desk.hear(agent)
    assert devices[:2] == [SICK, SOUND]
    desk.until(effects.SendCall, agent)
    assert bid_on(desk, agent, *BOTH), "it failed on both: any will do again"


def test_a_job_that_failed_waits_for_another_device_while_that_bids() -> None:
    desk, agent = Desk(bench_after=99), two_gpus()
    desk.hear(agent)
    desk.submit("job", retry={"initial_s": 0.1})
    (item,) = bid_on(desk, agent, SICK)
    desk.failed(agent, item, "load_failed")
    desk.until(effects.SendCall, agent)
    (item,) = bid_on(desk, agent, SICK)
    assert item.device == SICK, "there is no other"


# ---------------------------------------------------------------- quarantine


def quarantine(agent: AgentDouble, why: dict[str, str]) -> None:
    agent.devices = [msgspec.structs.replace(each, quarantine=why.get(each.id)) for each in agent.devices]


def test_nothing_goes_to_a_device_in_quarantine_and_explain_says_why() -> None:
    desk, agent = Desk(), two_gpus()
    quarantine(agent, {SICK: "Xid 79: the GPU has fallen off the bus; reset it"})
    desk.hear(agent)
    desk.submit("one")
    (item,) = bid_on(desk, agent, *BOTH)
    assert item.device == SOUND
    desk.submit("two")
    told = explain(desk.engine.core, desk.record("two"), desk.now)
    (reason,) = [r for r in told.reasons if r.code == "quarantined"]
    assert (reason.device, reason.message) == (SICK, "Xid 79: the GPU has fallen off the bus; reset it")


def test_an_agent_whose_devices_are_all_in_quarantine_is_waited_for() -> None:
    desk, agent = Desk(), two_gpus()
    quarantine(agent, {SICK: "lost", SOUND: "lost"})
    desk.hear(agent)
    desk.submit("job")
    assert desk.take(effects.SendCall) == []
    group = desk.engine.core.queue.group_of(desk.record("job").group_key())
    assert group is not None and not group.unschedulable
    assert {r.code for r in group.reasons["a1"]} == {"quarantined"}
    quarantine(agent, {SICK: "lost"})
    desk.hear(agent, full=False)
    assert bid_on(desk, agent, SOUND)[0].device == SOUND


def test_an_adapter_for_the_cpu_lane_does_not_mind_a_gpu_in_quarantine() -> None:
    desk = Desk()
    agent = AgentDouble(devices=[device(SICK), device("cpu-0", kind="cpu")], adapters=[offer(devices=["cpu"])])
    quarantine(agent, {SICK: "lost"})
    desk.hear(agent)
    desk.submit("job")
    assert bid_on(desk, agent, "cpu-0")[0].device == "cpu-0"
    desk.submit("next")
    told = explain(desk.engine.core, desk.record("next"), desk.now)
    assert all(r.code != "quarantined" for r in told.reasons)
