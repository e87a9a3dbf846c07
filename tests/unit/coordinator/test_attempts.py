"""Awards and what becomes of them: answers that are lost, outcomes said twice, failures by code, benching."""

from __future__ import annotations

import pytest

from pocket3d.contracts.commands import AwardAnswer, AwardsAnswered
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import Limits, RetryPolicy
from pocket3d.contracts.lifecycle import JobState
from pocket3d.coordinator.engine import effects, events
from support.coordinator_desk import AgentDouble, Desk, device, offer

S = JobState


# ---------------------------------------------------------------- awards


def test_an_award_carries_the_attempt_its_token_and_where_to_read_the_request(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent, seq=17)
    assert (item.job_id, item.seq, item.feature, item.attempt, item.token) == ("j1", 17, "echo", 1, "7-1")
    assert (item.adapter_id, item.device, item.vram_mb) == ("echo", "fixed-0", None)


def test_started_is_published_once(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    assert desk.started(agent, item).noted == ("7-1/attempt_started",)
    assert desk.published() == ["started"]


def test_an_unanswered_award_stays_booked_until_the_agent_says(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (item.token,)))
    assert desk.one(effects.AskState).agent_id == "a1"
    desk.hear(agent, full=False)
    assert desk.state() is S.AWARDED, "an advert may have been sent before the award came"
    desk.hear(agent, answer=True)
    assert desk.one(effects.ReadResult).job_id == "j1"
    desk.do(events.ResultRead("j1", None))
    assert desk.state() is S.QUEUED
    assert desk.record().attempt_no == 0


def test_an_unanswered_award_that_did_arrive_goes_on(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (item.token,)))
    agent.running = [agent.runs(item)]
    desk.hear(agent, answer=True)
    assert desk.state() is S.AWARDED
    desk.started(agent, item)
    assert desk.state() is S.RUNNING
    assert desk.take(effects.ReadResult) == []


def test_an_unanswered_award_is_asked_about_until_there_is_an_answer(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (item.token,)))
    for _ in range(3):
        assert len(desk.take(effects.AskState)) == 1
        desk.do(events.AgentSilent("a1", no_responders=False))
        # The question was lost, the adverts are not: the agent is not silent.
        desk.until(effects.AskState, agent, limit_s=2.0)
    desk.take(effects.AskState)
    desk.hear(agent, answer=True)
    assert len(desk.take(effects.ReadResult)) == 1


def test_an_answer_that_an_advert_overtook_does_not_end_the_questions(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (item.token,)))
    desk.take(effects.AskState)
    answer = agent.advert()
    desk.hear(agent, full=False)
    desk.do(events.AdvertReceived(answer, answers_question=True))
    assert desk.take(effects.ReadResult) == []
    desk.until(effects.AskState, agent, limit_s=2.0)


def test_an_overtaken_answer_does_not_end_the_questions_to_a_silent_agent(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.until(effects.AskState)
    desk.take(effects.AskState)
    answer = agent.advert()
    desk.hear(agent, full=False)
    desk.do(events.AdvertReceived(answer, answers_question=True))
    desk.until(effects.AskState, limit_s=3.0)


def test_a_question_asked_before_the_award_says_nothing_about_it(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.tick(2.5)
    assert desk.one(effects.AskState).agent_id == "a1"
    desk.awarded(agent)
    # Its answer left before the award came.
    desk.hear(agent, answer=True)
    assert desk.take(effects.ReadResult) == []
    assert desk.state() is S.AWARDED


def test_an_award_that_was_never_sent_goes_back_at_once(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (item.token,), sent=False))
    assert desk.state() is S.QUEUED
    assert desk.record().attempt_no == 0


def test_a_refused_award_goes_back_and_the_leadership_is_proven(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.AwardsRefused("a1", (item.token,), "stale"))
    assert desk.state() is S.QUEUED
    assert len(desk.take(effects.ProveLeadership)) == 1
    assert desk.take(effects.SendCall) == []
    desk.do(events.LeadershipProven())
    assert len(desk.take(effects.SendCall)) == 1


def test_a_declined_job_keeps_its_place_and_its_attempts(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent, "j1")
    queued_at = desk.record().queued_at
    desk.submit("j2")
    desk.tick(1.0)
    desk.decline(agent, item)
    assert desk.record().queued_at == queued_at
    group = desk.engine.core.queue.group_of(desk.record().group_key())
    assert group is not None
    assert [record.job_id for record in group] == ["j1", "j2"]
    assert group.reasons["a1"][0].short_mb == 990


def test_an_answer_for_an_older_token_changes_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    old = desk.awarded(agent)
    desk.do(events.AwardsUnanswered("a1", (old.token,), sent=False))
    new = desk.win(agent)
    assert old.token != new.token
    declined = AwardAnswer(job_id="j1", token=old.token, accepted=False)
    desk.do(
        events.AwardsReturned(
            AwardsAnswered(agent_id="a1", incarnation=agent.incarnation, seq=agent.count(), answers=[declined])
        )
    )
    assert desk.state() is S.AWARDED
    desk.failed(agent, old, "worker_crashed")
    assert desk.state() is S.AWARDED
    retry = desk.record().retry
    assert retry is None or not retry.attempts


def test_a_job_whose_request_was_removed_ends_as_cancelled(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.do(events.BodyGone("j1", item.token, item.seq))
    result = desk.one(effects.StoreResult).result
    assert (result.status, result.attempt) == ("cancelled", 0)
    assert result.error is not None
    assert result.error.message == "its message was removed from the jobs stream"


def test_a_request_that_was_removed_before_it_was_published_again_ends_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.awarded(agent)
    desk.read(seq=9)
    desk.do(events.MessagesLooked((), (effects.JobMessage("j1", item.seq),)))
    assert desk.record().seq == 9, "the message that was published again is the job"
    desk.do(events.BodyGone("j1", item.token, item.seq))
    assert desk.take(effects.StoreResult) == []
    assert desk.state() is S.QUEUED


# ---------------------------------------------------------------- outcomes said twice


def test_a_failure_whose_answer_was_lost_counts_once(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    both = (desk.start_of(item), desk.failure_of(item, "worker_crashed"))
    desk.report(agent, *both)
    assert desk.state() is S.QUEUED
    # The answer was lost: both come again, and the agent's adverts list the attempt until they are answered.
    assert desk.report(agent, *both).noted == ("7-1/attempt_started", "7-1/attempt_failed")
    assert desk.state() is S.QUEUED
    retry = desk.record().retry
    assert retry is not None
    assert (retry.spent, len(retry.attempts)) == (1, 1)


def test_an_advert_from_before_the_failure_was_answered_does_not_bring_the_attempt_back(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.report(agent, desk.failure_of(item, "worker_crashed"))
    agent.running = [agent.runs(item, on_device=False)]
    desk.hear(agent, full=False)
    assert desk.state() is S.QUEUED
    agent.running = []
    desk.hear(agent, full=False)
    assert desk.take(effects.ReadResult) == []


def test_a_failure_said_twice_while_the_leadership_is_in_doubt_counts_once(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.sleep(30.0)
    assert len(desk.take(effects.ProveLeadership)) == 1
    for _ in range(2):
        desk.report(agent, desk.failure_of(item, "invalid_output"))
    assert desk.take(effects.StoreResult) == []
    desk.do(events.LeadershipProven())
    error = desk.one(effects.StoreResult).result.error
    assert error is not None
    assert len(error.attempts) == 1


def test_what_cannot_be_judged_yet_is_not_noted(agent: AgentDouble) -> None:
    desk = Desk(lead=False)
    desk.do(events.Led(7, ()))
    item = effects.AwardItem("j1", 1, "echo", 1, "6-1", "echo", "fixed-0", None, 0.0, 0.0)
    assert desk.report(agent, desk.start_of(item)).noted == ()
    desk.do(events.JobsIndexed())
    assert desk.report(agent, desk.start_of(item)).noted == ("6-1/attempt_started",)


# ---------------------------------------------------------------- verdicts


#: Code of a first failure -> what becomes of the job: `ends`, or who is called for the next attempt, after a pause or
#: at once. Two agents serve it, and it failed on `a1`; `a2` has more memory.
NEXT = {
    "invalid_input": "ends",
    "unknown_feature": "ends",
    "artifact_missing": "ends",
    "input_failed": "ends",
    "too_large": "ends",
    "invalid_output": "ends",
    "invalid_result": "ends",
    "no_capacity": "ends",
    "adapter_unavailable": "a2 at once",
    "agent_lost": "a2 at once",
    "cancelled": "a2 at once",
    "load_failed": "a2 after a pause",
    "adapter_error": "a1 a2 after a pause",
    "worker_crashed": "a1 a2 after a pause",
    "timeout": "a1 a2 after a pause",
    "out_of_memory": "a2 at once",
    "handed_back": "a1 a2 at once",
}


@pytest.mark.parametrize("code", [code.value for code in FailureCode])
def test_every_code_has_its_verdict(code: str, desk: Desk, agent: AgentDouble) -> None:
    agent.devices = [device(total_mb=8000)]
    desk.hear(agent)
    item = desk.running(agent, vram_mb=6000)
    other = AgentDouble("a2", devices=[device(total_mb=24_000)])
    desk.hear(other)
    assert desk.take(effects.SendCall) == []
    desk.failed(agent, item, code, vram_peak_mb=8000)
    if NEXT[code] == "ends":
        error = desk.one(effects.StoreResult).result.error
        assert error is not None
        assert (error.code, [attempt.code for attempt in error.attempts]) == (code, [code])
        assert desk.published() == ["started"]
        return
    assert desk.published() == ["started", "requeued"]
    when = "at once" if any(isinstance(effect, effects.SendCall) for effect in desk.effects) else "after a pause"
    desk.until(effects.SendCall, agent, other, limit_s=2.0)
    called = sorted(call.agent_id for call in desk.take(effects.SendCall))
    assert f"{' '.join(called)} {when}" == NEXT[code]


@pytest.mark.parametrize("code", sorted(code for code, becomes in NEXT.items() if becomes != "ends"))
def test_every_failure_but_a_hand_back_costs_an_attempt(code: str, desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.hear(AgentDouble("a2", devices=[device(total_mb=24_000)]))
    desk.submit(retry={"max_attempts": 1})
    desk.do(events.RoundDue())
    desk.answer_calls(agent)
    desk.tick(desk.settings.round_deadline_s)
    (item,) = desk.one(effects.SendAwards).awards
    desk.accept(agent, item)
    desk.failed(agent, item, code)
    stored = desk.take(effects.StoreResult)
    assert [each.result.status for each in stored] == ([] if code == "handed_back" else ["failed"])


def test_the_pause_grows_and_the_attempts_end(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, retry={"max_attempts": 3, "initial_s": 1, "factor": 3, "cap_s": 100})
    desk.failed(agent, item, "worker_crashed")
    assert desk.record().not_before == desk.mono + 1
    desk.until(effects.SendCall, agent)
    assert desk.mono >= desk.record().not_before
    item = desk.win(agent)
    assert item.attempt == 2
    desk.failed(agent, item, "worker_crashed")
    assert desk.record().not_before == desk.mono + 3
    desk.until(effects.SendCall, agent)
    assert desk.mono >= desk.record().not_before
    desk.failed(agent, desk.win(agent), "worker_crashed")
    result = desk.one(effects.StoreResult).result
    assert result.status == "failed"
    assert result.error is not None
    assert [a.attempt for a in result.error.attempts] == [1, 2, 3]
    assert result.error.message.endswith("(after 3 attempts)")


def test_another_agent_has_the_next_attempt_and_the_same_one_if_there_is_no_other(desk: Desk) -> None:
    first, second = AgentDouble("a1"), AgentDouble("a2")
    desk.hear(first)
    item = desk.awarded(first)
    desk.hear(second)
    desk.failed(first, item, "adapter_unavailable")
    assert [c.agent_id for c in desk.take(effects.SendCall)] == ["a2"]
    group = desk.engine.core.queue.group_of(desk.record().group_key())
    assert group is not None
    assert group.reasons["a1"][0].code == "excluded"
    desk.do(events.AgentSilent("a2", no_responders=True))
    desk.do(events.AgentSilent("a2", no_responders=True))
    assert [c.agent_id for c in desk.take(effects.SendCall)] == ["a1"]


def test_out_of_memory_raises_the_requirement(desk: Desk) -> None:
    small, large = AgentDouble("a1"), AgentDouble("a2", devices=[device(total_mb=24_000)])
    desk.hear(small)
    item = desk.running(small, vram_mb=6000)
    desk.hear(large)
    desk.failed(small, item, "out_of_memory", vram_peak_mb=8000)
    assert desk.record().group_key().vram_mb == 12_000
    (call,) = desk.take(effects.SendCall)
    assert call.agent_id == "a2"
    desk.effects.append(call)
    assert desk.win(large).vram_mb == 12_000


@pytest.mark.parametrize(
    ("asked", "peak", "total", "buffer", "largest", "then"),
    [
        (6000, 8000, 8000, 0, 24_000, 12_000),
        (6000, None, 8000, 0, 24_000, 9000),
        (400, 100, 8000, 0, 0, 656),
        (512, None, 8000, 0, 0, 768),
        (514, None, 8000, 0, 0, 771),
        (6000, 8000, 8000, 0, 10_000, 10_000),
        (6000, 7000, 8000, 0, 0, 8000),
        (6000, 6000, 8000, 1500, 0, 6500),
        (6000, 6500, 8000, 1500, 0, None),
        (6000, 6500, 8000, 1500, 6501, 6501),
        (6000, 8000, 8000, 0, 0, None),
        (6000, 24_000, 8000, 0, 24_000, None),
        (6000, 30_000, 8000, 0, 24_000, None),
    ],
    ids=[
        "half as much again as was seen", "or as was asked", "256 MB more at least", "which is the half of 512",
        "the half of more", "what the largest device has at most", "all of the same device",
        "but for its buffer", "of which it had all", "a little more than that elsewhere", "nothing larger is there",
        "it took what only the largest has, from the host", "it took more than any has",
    ],
)  # fmt: skip
def test_out_of_memory_asks_for_more_than_was_there_or_ends(
    asked: int, peak: int | None, total: int, buffer: int, largest: int, then: int | None, desk: Desk
) -> None:
    agent = AgentDouble("a1", devices=[device(total_mb=total, buffer_mb=buffer)])
    desk.hear(agent)
    item = desk.running(agent, vram_mb=asked)
    if largest:
        desk.hear(AgentDouble("a2", devices=[device(total_mb=largest)]))
    desk.failed(agent, item, "out_of_memory", vram_peak_mb=peak)
    ended = [each.result.status for each in desk.take(effects.StoreResult)]
    assert (ended, None if ended else desk.record().group_key().vram_mb) == (["failed"] if then is None else [], then)


def test_out_of_memory_that_more_room_does_not_help_keeps_the_requirement(desk: Desk) -> None:
    """The host's memory ran out, or a neighbour on the device took what the job was promised."""
    small, large = AgentDouble("a1"), AgentDouble("a2", devices=[device(total_mb=24_000)])
    desk.hear(small)
    item = desk.running(small, vram_mb=6000)
    desk.hear(large)
    desk.failed(small, item, "out_of_memory", vram_peak_mb=2000, more_room=False)
    assert desk.record().group_key().vram_mb == 6000
    assert desk.take(effects.SendCall) == [], "after a pause"
    desk.until(effects.SendCall, small, large, limit_s=2.0)
    assert [call.agent_id for call in desk.take(effects.SendCall)] == ["a2"]


def test_out_of_memory_on_the_only_device_is_tried_again_if_others_took_it(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, vram_mb=8000)
    desk.failed(agent, item, "out_of_memory", vram_peak_mb=2000, more_room=False)
    assert desk.published() == ["started", "requeued"]
    desk.until(effects.SendCall, agent, limit_s=2.0)
    assert desk.win(agent).vram_mb is None


def test_out_of_memory_on_the_largest_device_is_the_end(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent, vram_mb=8000)
    desk.failed(agent, item, "out_of_memory", vram_peak_mb=8000)
    error = desk.one(effects.StoreResult).result.error
    assert error is not None
    assert error.code == "out_of_memory"
    assert "no device of the fleet has more room" in error.message


def test_a_code_of_a_later_version_is_an_adapter_error(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    desk.failed(agent, desk.running(agent), "quantum_noise")
    retry = desk.record().retry
    assert retry is not None
    assert retry.attempts[0].code == "adapter_error"


# ---------------------------------------------------------------- benching


def benched(desk: Desk, agent_id: str = "a1") -> list[str]:
    """Adapters that get no job on any device of an agent."""
    fleet = desk.engine.core.fleet
    return fleet.shut_out(fleet.agents[agent_id], desk.mono)


def fail_in_a_row(desk: Desk, agent: AgentDouble, times: int) -> None:
    for _ in range(times):
        job_id = f"f{len(desk.engine.core.jobs)}"
        item = desk.awarded(agent, job_id, retry={"max_attempts": 1})
        desk.failed(agent, item, "worker_crashed")
        desk.hear(agent)


def test_failures_in_a_row_bench_an_adapter_with_growing_pauses(agent: AgentDouble) -> None:
    desk = Desk(bench_after=3, bench_s=30.0, bench_cap_s=100.0, agent_lease_s=1e9, advert_s=1e9, unavailable_wait_s=1e9)
    agent.adapters = [offer(), offer("other", "text_to_mesh")]
    desk.hear(agent)
    fail_in_a_row(desk, agent, 2)
    assert benched(desk) == []
    fail_in_a_row(desk, agent, 1)
    assert benched(desk) == ["echo"]
    for pause in (30.0, 60.0, 100.0, 100.0):
        benched_at = desk.mono
        desk.submit(f"w{benched_at:.0f}")
        assert desk.take(effects.SendCall) == []
        group = desk.engine.core.queue.group_of(desk.record(f"w{benched_at:.0f}").group_key())
        assert group is not None
        assert group.reasons["a1"][0].code == "benched"
        assert not group.unschedulable
        desk.until(effects.SendCall)
        assert desk.mono - benched_at == pytest.approx(pause, abs=0.25)
        desk.failed(agent, desk.win(agent, f"w{benched_at:.0f}"), "invalid_output")


def test_a_benched_adapter_leaves_the_others_of_its_agent_alone(desk: Desk, agent: AgentDouble) -> None:
    agent.adapters = [offer("bad"), offer("good")]
    desk.hear(agent)
    for number in range(3):
        desk.submit(f"j{number}", retry={"max_attempts": 1})
        desk.failed(agent, desk.win(agent, f"j{number}", adapter_id="bad"), "worker_crashed")
        desk.hear(agent)
    desk.submit("k")
    (call,) = desk.take(effects.SendCall)
    assert call.lots[0].without == ["bad"]


def test_a_success_ends_the_row(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    fail_in_a_row(desk, agent, 2)
    item = desk.running(agent, "good")
    desk.see(desk.result_of(item, agent))
    agent.running = []
    desk.hear(agent)
    fail_in_a_row(desk, agent, 2)
    assert benched(desk) == []


def test_a_cancel_or_a_producers_mistake_benches_nothing(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    for number, code in enumerate(("invalid_input", "artifact_missing", "out_of_memory", "agent_lost", "handed_back")):
        item = desk.awarded(agent, f"j{number}", retry={"max_attempts": 1})
        desk.failed(agent, item, code)
        desk.hear(agent)
    assert len(desk.engine.core.fleet.benches) == 0


def test_the_runs_of_one_dead_worker_bench_its_adapter_once(desk: Desk) -> None:
    benches = desk.engine.core.fleet.benches
    for number in range(9):
        benches.note_failure("a1", "d", "echo", f"j{number}", 1000.0)
    bench_s = desk.settings.bench_s
    assert benches.left_s("a1", "d", "echo", 1000.0 + bench_s - 1) == 1
    assert benches.left_s("a1", "d", "echo", 1000.0 + bench_s) == 0, "what began before the pause does not lengthen it"
    benches.note_failure("a1", "d", "echo", "j9", 1000.0 + bench_s)
    assert benches.left_s("a1", "d", "echo", 1000.0 + 3 * bench_s - 1) == 1, "the first failure after it does"


# ---------------------------------------------------------------- agents that are not what they should be


def test_only_the_agent_that_has_an_attempt_can_say_what_became_of_it(desk: Desk, agent: AgentDouble) -> None:
    liar = AgentDouble("liar", adapters=[offer("other", "other_feature")])
    desk.hear(agent)
    desk.hear(liar)
    item = desk.running(agent)
    desk.failed(liar, item, "invalid_input")
    assert desk.state() is JobState.RUNNING
    desk.failed(agent, item, "invalid_input")
    assert desk.one(effects.StoreResult).result.status == "failed"


def test_an_attempt_that_its_agent_never_ends_is_ended_by_the_coordinator() -> None:
    desk = Desk(attempt_grace_s=20.0, bench_after=9)
    agent = AgentDouble("a1")
    desk.hear(agent)
    item = desk.running(agent, limits=Limits(load_s=3.0, start_to_close_s=5.0), retry=RetryPolicy(max_attempts=1))
    began = desk.mono
    desk.until(effects.StoreResult, agent)
    assert desk.mono - began == pytest.approx(28.0, abs=0.5)
    result = desk.one(effects.StoreResult).result
    assert result.error is not None
    assert (result.status, result.error.code) == ("failed", "timeout")
    assert "a1 did not end it within load_s = 3 s, start_to_close_s = 5 s and 20 s" in result.error.message
    assert item.token in [c.token for sent in desk.take(effects.SendCancels) for c in sent.cancels]


def test_an_attempt_that_ends_in_time_leaves_no_deadline(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    item = desk.running(agent)
    desk.see(desk.result_of(item, agent))
    assert list(desk.engine.core.attempt_deadlines.jobs()) == []


def test_a_pause_of_the_coordinator_is_not_held_against_an_attempt() -> None:
    desk = Desk(attempt_grace_s=20.0)
    agent = AgentDouble("a1")
    desk.hear(agent)
    desk.running(agent, limits=Limits(load_s=3.0, start_to_close_s=5.0))
    desk.sleep(100.0)
    desk.do(events.LeadershipProven())
    desk.hear(agent, full=False)
    desk.tick(1.0)
    assert desk.state() is JobState.RUNNING
