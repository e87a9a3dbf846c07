"""Awards: the ledger has the last word, duplicates are harmless, room is made."""

from __future__ import annotations

import pytest

from pocket3d.contracts.commands import (
    AwardJobs,
    CallForBids,
    Cancel,
    CancelAttempts,
    CancelsNoted,
    CommandRefused,
    Lot,
    ReportState,
    StateReported,
)
from pocket3d.gpu_agents.engine import effects, events
from support.agent_rig import EPOCH, AgentRig, adapter, fixed, gpu, of, only

TWO = [adapter("alpha", 6000), adapter("beta", 6000)]


def test_the_ledger_checks_again_at_the_award() -> None:
    rig = AgentRig([fixed(10_000)], TWO)
    assert len(rig.call().bids) == 2
    rig.take("alpha")
    reason = rig.refused("beta").reason
    assert reason is not None
    assert (reason.code, reason.need_mb, reason.have_mb, reason.short_mb) == ("vram_busy", 6000, 4000, 2000)


def test_of_several_awards_each_is_judged_on_what_the_former_left() -> None:
    rig = AgentRig([fixed(10_000)], [*TWO, adapter("gamma", 3000)])
    answers = rig.give(*(rig.make_award(a) for a in ("alpha", "beta", "gamma", "gamma")))
    assert [a.accepted for a in answers] == [True, False, True, False]
    assert answers[3].reason is not None and answers[3].reason.code == "no_slot"


def test_the_device_cap_holds() -> None:
    rig = AgentRig([fixed(cap=1)], TWO)
    rig.take("alpha")
    reason = rig.refused("beta").reason
    assert reason is not None and reason.code == "no_slot"


def test_parameters_that_the_adapter_does_not_take_are_declined_with_the_field() -> None:
    schema = {"type": "object", "properties": {"steps": {"type": "integer"}}, "additionalProperties": False}
    rig = AgentRig([fixed(10_000)], [adapter("typed", 100, parameters=schema)])
    reason = rig.refused("typed").reason
    assert reason is not None
    assert (reason.code, reason.field, reason.adapter_id) == ("parameters", "inputs.text_prompt", "typed")
    assert not rig.engine.core.runs


@pytest.mark.parametrize(
    ("adapter_id", "device", "feature", "code"),
    [
        ("nobody", "fixed-0", "text_to_mesh", "no_adapter"),
        ("alpha", "fixed-9", "text_to_mesh", "no_device"),
        ("alpha", "fixed-0", "auto_rig", "no_adapter"),
        ("broken", "fixed-0", "text_to_mesh", "adapter_unavailable"),
        ("lane", "fixed-0", "text_to_mesh", "no_device"),
        ("huge", "fixed-0", "text_to_mesh", "vram_total"),
    ],
)
def test_awards_that_cannot_be_taken(adapter_id: str, device: str, feature: str, code: str) -> None:
    known = [
        adapter("alpha"),
        adapter("broken", available=False, reason="weights missing"),
        adapter("lane", devices=["cpu"]),
        adapter("huge", 99_000),
    ]
    reason = AgentRig(adapters=known).refused(adapter_id, device, feature=feature).reason
    assert reason is not None and reason.code == code


def test_a_repeated_award_gets_the_same_answer_and_starts_nothing() -> None:
    rig = AgentRig([fixed(10_000)], TWO)
    award, declined = rig.make_award("alpha"), rig.make_award("beta")
    first = rig.give(award, declined)
    starts = len(rig.all(effects.FetchInputs))
    assert rig.give(award, declined) == first
    rig.run(award.token)
    rig.finish(award.token)
    assert rig.give(award, declined) == first, "also when it is over, and when there would be room by now"
    assert len(rig.all(effects.FetchInputs)) == starts
    assert not rig.engine.core.runs


def test_answers_are_remembered_within_bounds() -> None:
    rig = AgentRig(answers_kept=3)
    first = rig.take()
    for _ in range(5):
        rig.refused("nobody")
    assert len(rig.engine.core.answers) == 3
    (again,) = rig.give(rig.make_award(token=first))
    assert again.accepted
    assert len(rig.engine.core.runs) == 1


def test_of_the_answers_the_latest_are_remembered() -> None:
    rig = AgentRig(answers_kept=3)
    tokens = [rig.refused("beta").token for _ in range(5)]
    rig.tell(events.AdaptersDescribed((adapter("beta", 100, max_concurrent=9),)))
    answers = [rig.give(rig.make_award("beta", token=token))[0].accepted for token in reversed(tokens)]
    assert answers == [False, False, False, True, True], "a repeated award gets the answer that it got"


def test_an_older_epoch_is_refused_and_report_state_raises_the_fence() -> None:
    rig = AgentRig()
    reply = only(rig.command(ReportState(coordinator_id="b", epoch=EPOCH + 5)), effects.Reply).message
    assert isinstance(reply, StateReported)
    assert reply.advert.adapters is not None
    stale = rig.command(AwardJobs(coordinator_id="a", epoch=EPOCH, awards=[rig.make_award()]))
    refusal = only(stale, effects.Reply).message
    assert isinstance(refusal, CommandRefused)
    assert (refusal.code, refusal.epoch) == ("stale", EPOCH + 5)
    call = CallForBids(coordinator_id="a", epoch=EPOCH, call_id=1, lots=[Lot(lot=0, feature="text_to_mesh")])
    assert not of(rig.command(call), effects.SendBids)
    assert not rig.engine.core.runs
    rig.call(epoch=EPOCH + 6)
    assert rig.engine.core.fence == EPOCH + 6


def test_an_epoch_that_no_clock_made_shuts_no_leader_out() -> None:
    rig = AgentRig()
    refusal = only(rig.command(ReportState(coordinator_id="x", epoch=2**53 - 1)), effects.Reply).message
    assert isinstance(refusal, CommandRefused)
    assert (refusal.code, refusal.message) == (
        "invalid_input",
        "epoch 9007199254740991 of x is no time at which a coordinator began to lead",
    )
    reply = only(rig.command(ReportState(coordinator_id="a", epoch=EPOCH)), effects.Reply).message
    assert isinstance(reply, StateReported), "the leader is heard as before"


def test_a_command_for_another_life_of_this_agent_gets_no_answer() -> None:
    rig = AgentRig()
    wanted = rig.command(ReportState(coordinator_id="c", epoch=EPOCH + 9, incarnation="17-other"))
    assert not of(wanted, effects.Reply)
    assert rig.engine.core.fence < EPOCH + 9
    mine = ReportState(coordinator_id="c", epoch=EPOCH, incarnation="1790000000000-abc")
    assert of(rig.command(mine), effects.Reply)


def test_what_is_no_command_is_refused() -> None:
    rig = AgentRig()
    reply = only(rig.tell(events.CommandUnreadable("type: missing", 5)), effects.Reply)
    assert isinstance(reply.message, CommandRefused) and reply.message.code == "invalid_input"


def test_an_award_after_its_cancel_starts_nothing() -> None:
    rig = AgentRig()
    award = rig.make_award()
    assert rig.cancel(award.token).unknown == [award.token]
    (answer,) = rig.give(award)
    assert not answer.accepted and answer.reason is not None and answer.reason.code == "stale"


# ---------------------------------------------------------------- room


def test_an_evicted_worker_ends_before_the_new_one_starts() -> None:
    rig = AgentRig([fixed(10_000)], TWO)
    old = rig.warm("alpha")
    token = rig.take("beta")
    assert only([e for e in rig.log if isinstance(e, effects.StopWorker)], effects.StopWorker).worker_id == old
    assert [e.adapter_id for e in rig.all(effects.StartWorker)] == ["alpha"]
    rig.fetch(token)
    wanted = rig.tell(events.WorkerExited(old))
    start = only(wanted, effects.StartWorker)
    assert (start.adapter_id, start.vram_mb) == ("beta", 6000)
    rig.start_worker(start.worker_id)
    assert rig.state(token) == "running"


def test_on_a_real_gpu_the_new_worker_waits_until_the_memory_is_seen_free() -> None:
    rig = AgentRig([gpu(11_000, buffer_mb=1000)], TWO)
    rig.probe({"GPU-0": 11_000}, {"GPU-0": {}})
    old = rig.warm("alpha", pid=7)
    rig.probe({"GPU-0": 5000}, {"GPU-0": {7: 6000}})
    token = rig.take("beta")
    rig.pass_time(1)
    assert not of(rig.tell(events.WorkerExited(old)), effects.StartWorker)
    assert not of(rig.probe({"GPU-0": 5000}, {"GPU-0": {7: 6000}}), effects.StartWorker)
    assert of(rig.pass_time(0.2, 0.1), effects.ProbeNow), "somebody waits: the probe is read often"
    # Another process took some of it: not enough is left for beta.
    assert not of(rig.probe({"GPU-0": 6500}, {"GPU-0": {99: 4500}}), effects.StartWorker)
    rig.pass_time(1)
    assert of(rig.probe({"GPU-0": 11_000}, {"GPU-0": {}}), effects.StartWorker)
    assert rig.state(token) == "fetching"


def test_a_job_does_not_wait_for_ever_for_evicted_memory() -> None:
    rig = AgentRig([gpu(11_000, buffer_mb=1000)], TWO, room_wait_s=30.0)
    rig.probe({"GPU-0": 11_000}, {"GPU-0": {}})
    old = rig.warm("alpha", pid=7)
    token = rig.take("beta")
    rig.tell(events.WorkerExited(old))
    rig.probe({"GPU-0": 5000}, {"GPU-0": {99: 6000}})
    planned = rig.run_of(token).worker
    rig.pass_time(31)
    assert rig.failure(token).code == "handed_back"
    assert rig.worker_ids() == []
    assert (planned.state.value, planned.history[-1].why) == ("exited", "there was no room within 30 s")
    assert rig.engine.core.devices["GPU-0"].ledger.committed_mb() == 0


@pytest.mark.parametrize(("after_s", "ends"), [(29.5, "running"), (30.5, "reporting")])
def test_a_job_on_a_loaded_worker_waits_as_long_for_evicted_memory(after_s: float, ends: str) -> None:
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 3000), adapter("beta", 6000)], room_wait_s=30.0)
    loaded, evicted = rig.warm("alpha", pid=7), rig.warm("beta", pid=8)
    token = rig.take("alpha", vram_mb=8000)
    assert rig.run_of(token).worker.worker_id == loaded
    rig.fetch(token)
    rig.pass_time(after_s)
    rig.tell(events.WorkerExited(evicted))
    assert rig.state(token) == ends
    if ends == "reporting":
        failure = rig.failure(token)
        assert (failure.code, failure.message) == ("handed_back", "evicted memory was not free within 30 s")


def test_the_cheapest_idle_worker_is_evicted_and_no_more_than_needed() -> None:
    known = [adapter("small", 2000), adapter("big", 6000), adapter("new", 5000)]
    rig = AgentRig([fixed(10_000)], known)
    small = rig.warm("small")
    rig.pass_time(20)
    big = rig.warm("big")
    rig.pass_time(5)
    rig.take("new")
    stopped = [e.worker_id for e in rig.all(effects.StopWorker)]
    assert stopped == [big], f"{small} is older, but alone it would not do, and {big} alone does"


def test_the_longest_idle_goes_first_weighed_by_its_reload() -> None:
    known = [adapter("quick", 4000), adapter("slow", 4000), adapter("new", 4000)]
    rig = AgentRig([fixed(8000)], known)
    token = rig.take("slow")
    rig.fetch(token)
    rig.pass_time(40)
    slow = rig.worker_ids()[0]
    rig.start_worker(slow)
    rig.finish(token)
    rig.pass_time(30)
    token = rig.take("quick")
    rig.fetch(token)
    rig.pass_time(1)
    quick = rig.run_of(token).worker.worker_id
    rig.start_worker(quick)
    rig.finish(token)
    rig.pass_time(10)
    rig.take("new")
    assert [e.worker_id for e in rig.all(effects.StopWorker)] == [quick], "10 s of a 1 s load against 41 s of 40 s"


def test_busy_workers_are_never_evicted() -> None:
    rig = AgentRig([fixed(10_000)], TWO)
    token = rig.take("alpha")
    rig.run(token)
    rig.refused("beta")
    assert not rig.all(effects.StopWorker)


def test_a_raised_requirement_claims_its_excess_on_the_warm_worker_and_evicts_for_it() -> None:
    rig = AgentRig([fixed(12_000)], TWO)
    warm = rig.warm("alpha")
    other = rig.warm("beta")
    token = rig.take("alpha", raised_mb=9000)
    assert only(rig.all(effects.StopWorker), effects.StopWorker).worker_id == other
    assert not of(rig.fetch(token), effects.RunOnWorker), "the memory is not there yet"
    wanted = rig.tell(events.WorkerExited(other))
    run = only(wanted, effects.RunOnWorker)
    assert (run.worker_id, run.job.extra_vram_mb) == (warm, 3000)
    assert rig.engine.core.devices["fixed-0"].ledger.claim_mb(warm) == 9000
    rig.finish(token)
    assert rig.engine.core.devices["fixed-0"].ledger.claim_mb(warm) == 6000


def test_a_job_that_is_cancelled_while_it_waits_for_evicted_memory_is_not_started() -> None:
    rig = AgentRig([fixed(12_000)], TWO)
    warm, other = rig.warm("alpha"), rig.warm("beta")
    token = rig.take("alpha", raised_mb=9000)
    rig.fetch(token)
    rig.cancel(token)
    assert not of(rig.tell(events.WorkerExited(other)), effects.RunOnWorker)
    assert rig.failure(token).code == "cancelled"
    assert rig.engine.core.devices["fixed-0"].ledger.claim_mb(warm) == 6000


def test_a_worker_that_holds_nothing_while_idle_is_in_nobodys_way() -> None:
    """UniRig's: its weights wait in the host's memory, and each job brings its own processes to the GPU."""
    rig = AgentRig([fixed(10_000)], [adapter("alpha", 6000, idle_vram_mb=0, max_concurrent=2), adapter("beta", 6000)])
    ledger = rig.engine.core.devices["fixed-0"].ledger
    token = rig.take("alpha")
    assert ledger.committed_mb() == 6000
    assert rig.refused("beta").reason is not None and rig.refused("alpha").reason is not None
    rig.run(token)
    rig.finish(token)
    assert ledger.committed_mb() == 0
    other = rig.take("beta")
    assert not rig.all(effects.StopWorker), "the idle one is kept: its end would free nothing"
    assert rig.refused("alpha").reason is not None
    rig.run(other, pid=78)
    rig.finish(other)
    # Now the other one is idle, and makes way.
    rig.take("alpha")
    assert len(rig.all(effects.StopWorker)) == 1


def test_a_small_job_starts_a_small_worker() -> None:
    rig = AgentRig([fixed(4000)])
    rig.take(vram_mb=3000)
    assert only(rig.all(effects.StartWorker), effects.StartWorker).vram_mb == 3000


def test_a_cancelled_plan_is_given_up() -> None:
    rig = AgentRig([fixed(10_000)], TWO)
    old = rig.warm("alpha")
    token = rig.take("beta")
    rig.cancel(token)
    assert rig.worker_ids() == [old]
    assert not of(rig.tell(events.WorkerExited(old)), effects.StartWorker)
    assert rig.engine.core.devices["fixed-0"].ledger.committed_mb() == 0


def test_a_worker_that_is_leaving_makes_room_without_another_eviction() -> None:
    rig = AgentRig([fixed(10_000)], TWO, idle_timeout_s=60)
    old = rig.warm("alpha")
    rig.pass_time(61)
    assert rig.worker(old).state.value == "stopping"
    token = rig.take("beta")
    assert len(rig.all(effects.StopWorker)) == 1
    assert of(rig.tell(events.WorkerExited(old)), effects.StartWorker)
    assert rig.state(token) == "fetching"


def test_the_same_adapter_is_not_started_twice_while_its_worker_is_leaving() -> None:
    rig = AgentRig([fixed(20_000)], idle_timeout_s=60)
    old = rig.warm("alpha")
    rig.pass_time(61)
    rig.take("alpha")
    assert len(rig.all(effects.StartWorker)) == 1
    assert of(rig.tell(events.WorkerExited(old)), effects.StartWorker)


def test_a_cancel_without_a_reply_is_obeyed_too() -> None:
    rig = AgentRig()
    token = rig.take()
    rig.tell(events.CommandReceived(CancelAttempts(coordinator_id="c", epoch=EPOCH, cancels=[])))
    assert rig.state(token) == "fetching"


@pytest.mark.parametrize(("said", "told"), [("weights missing", "weights missing"), (None, "not available")])
def test_an_adapter_that_cannot_run_is_declined_with_its_reason(said: str | None, told: str) -> None:
    reason = AgentRig(adapters=[adapter("broken", available=False, reason=said)]).refused("broken").reason
    assert reason is not None and (reason.code, reason.message) == ("adapter_unavailable", told)


def test_of_several_cancels_each_is_answered_for_itself() -> None:
    rig = AgentRig(adapters=[adapter(vram_mb=100, max_concurrent=9)])
    first, second = rig.take(), rig.take()
    tokens = [first, "never-1", second, "never-2"]
    cancels = [Cancel(job_id="job", token=token) for token in tokens]
    reply = only(rig.command(CancelAttempts(coordinator_id="c", epoch=EPOCH, cancels=cancels)), effects.Reply).message
    assert isinstance(reply, CancelsNoted)
    assert (reply.held, reply.unknown) == ([first, second], ["never-1", "never-2"])
    assert [rig.failure(token).code for token in (first, second)] == ["cancelled", "cancelled"]
    assert not rig.refused(token="never-2").accepted


def test_a_coordinator_that_asks_nobody_by_name_gets_adverts_with_the_adapters() -> None:
    rig = AgentRig()
    rig.pass_time(2)
    rig.pass_time(0.25)
    wanted = rig.tell(events.CommandReceived(ReportState(coordinator_id="c", epoch=EPOCH)))
    advert = only(wanted, effects.PublishAdvert).advert
    assert advert.adapters is not None
    assert not of(wanted, effects.Reply)
