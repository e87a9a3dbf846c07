"""The engine of chains: what is started when, how the whole ends, and that every leader finds the same."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest

from pocket3d.contracts.lifecycle import InvalidTransition
from pocket3d.contracts.subjects import Subjects
from pocket3d.coordinator.chains import effects, events
from pocket3d.coordinator.chains.record import ChainKey, Failure, StepState
from pocket3d.coordinator.chains.story import unfinished
from support.chain_desk import ChainsDesk, chain_of, group_of

LINE = {"mesh": [], "skin": ["mesh"], "rig": ["skin"]}
FORK = {"mesh": [], "skin": ["mesh"], "parts": ["mesh"], "all": ["skin", "parts"]}


def test_a_step_starts_when_those_before_it_have_succeeded() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(FORK))
    assert desk.started() == ["dog-mesh"]
    desk.succeed("dog-mesh")
    assert desk.started() == ["dog-skin", "dog-parts"]
    desk.succeed("dog-parts")
    assert desk.started() == []
    desk.succeed("dog-skin")
    assert desk.take(effects.StartStep)[0].sources == {"skin": "dog-skin", "parts": "dog-parts"}
    desk.do(events.StepStarted(key, "dog-all"))
    desk.succeed("dog-all")
    assert desk.store()[-1] == "succeeded"
    assert desk.words(key) == dict.fromkeys(FORK, "succeeded")
    assert not desk.engine.chains
    assert not desk.engine.follows("dog-all")


def test_a_failed_step_cancels_those_that_need_it_and_others_run_on() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(FORK))
    desk.started()
    desk.succeed("dog-mesh")
    desk.started()
    desk.fail("dog-skin", "out_of_memory")
    assert "failed" not in desk.store(), "the other branch runs on"
    assert desk.words(key) == {"mesh": "succeeded", "skin": "failed", "parts": "queued", "all": "cancelled"}
    desk.succeed("dog-parts")
    assert desk.store()[-1] == "failed"
    assert desk.words(key)["parts"] == "succeeded", "partial results are kept"
    assert desk.started() == []


def test_why_a_step_was_cancelled_names_the_one_that_failed() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    desk.started()
    desk.fail("dog-mesh", "out_of_memory")
    steps = desk.engine.chains[key].steps
    assert [step.failure.message for step in steps if step.failure] == [
        "it broke",
        "the step mesh, whose file it takes, failed (out_of_memory)",
        "the step skin, whose file it takes, was cancelled",
    ]


def test_a_job_that_somebody_cancels_cancels_the_chain() -> None:
    desk = ChainsDesk()
    desk.submit(chain_of(LINE))
    desk.started()
    desk.cancel_job("dog-mesh")
    assert desk.store()[-1] == "cancelled"


def test_a_cancel_ends_what_waits_at_once_and_asks_for_the_rest_until_it_ends() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    desk.started()
    desk.succeed("dog-mesh")
    desk.started()
    desk.store()
    desk.do(events.CancelAsked(key, "not wanted any more", 1))
    assert desk.one(effects.CancelJob) == ("dog-skin", "not wanted any more")
    assert desk.take(effects.Answer) == [], "nobody is answered before it is stored"
    assert desk.store() == ["cancelling"]
    assert desk.words(key) == {"mesh": "succeeded", "skin": "queued", "rig": "cancelled"}
    assert desk.one(effects.Answer).ask == 1
    desk.tick()
    assert desk.one(effects.CancelJob).job_id == "dog-skin"
    desk.cancel_job("dog-skin")
    assert desk.store() == ["cancelled"]
    assert desk.words(key) == {"mesh": "succeeded", "skin": "cancelled", "rig": "cancelled"}
    desk.tick()
    assert desk.take(effects.CancelJob) == []


def test_a_cancel_that_comes_too_late_or_twice_is_answered() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of({"only": []}))
    desk.started()
    desk.succeed("dog-only")
    desk.do(events.CancelAsked(key, "late", 1))
    assert desk.store() == ["succeeded"]
    assert desk.one(effects.Answer).ask == 1
    desk.do(events.CancelAsked(key, "later still", 2))
    assert desk.one(effects.Answer).ask == 2


def test_a_step_that_is_being_published_is_cancelled_once_it_is() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    desk.do(events.CancelAsked(key, "no", 1))
    assert desk.take(effects.CancelJob) == []
    desk.started()
    assert desk.one(effects.CancelJob).job_id == "dog-mesh"


def test_a_retry_starts_what_failed_under_new_ids_once_it_is_stored() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(FORK))
    desk.started()
    desk.succeed("dog-mesh")
    desk.started()
    desk.fail("dog-skin")
    desk.succeed("dog-parts")
    assert desk.store()[-1] == "failed"
    desk.do(events.RetryAsked(desk.ended(key), 1))
    assert desk.started() == [], "a leader that dies now must leave no job behind"
    assert desk.store() == ["retried"]
    assert desk.one(effects.Answer).ask == 1
    assert desk.started() == ["dog-skin-r2"]
    desk.succeed("dog-skin-r2")
    (start,) = desk.take(effects.StartStep)
    assert (start.job_id, start.sources) == ("dog-all-r2", {"skin": "dog-skin-r2", "parts": "dog-parts"})
    desk.do(events.StepStarted(key, "dog-all-r2"))
    desk.fail("dog-all-r2")
    assert desk.store()[-1] == "failed"
    desk.do(events.RetryAsked(desk.ended(key), 2))
    desk.store()
    assert desk.started() == ["dog-all-r3"]
    desk.succeed("dog-all-r3")
    assert desk.store()[-1] == "succeeded"


def test_a_retry_of_one_that_runs_changes_nothing() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    desk.started()
    desk.fail("dog-mesh")
    desk.store()
    first, second = desk.ended(key), desk.ended(key)
    desk.do(events.RetryAsked(first, 1))
    desk.do(events.RetryAsked(second, 2))
    assert desk.store() == ["retried"]
    assert sorted(answer.ask for answer in desk.take(effects.Answer)) == [1, 2]
    assert desk.started() == ["dog-mesh-r2"]


def test_a_step_that_cannot_be_stored_yet_is_tried_again_and_one_that_never_can_fails() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    (start,) = desk.take(effects.StartStep)
    desk.do(events.StepUnstarted(key, "dog-mesh"))
    assert desk.take(effects.StartStep) == []
    desk.tick()
    assert desk.one(effects.StartStep) == start
    record = desk.engine.chains[key]
    desk.do(events.StepRefused(key, "dog-mesh", Failure("too_large", "x" * 1000)))
    assert record.steps[0].failure == Failure("too_large", "x" * 300)
    assert desk.store()[-1] == "failed"
    desk.tick()
    assert desk.take(effects.StartStep) == []


def test_one_event_at_a_time_is_stored_and_the_last_word_follows() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of({"a": [], "b": [], "c": []}))
    desk.started()
    desk.succeed("dog-a")
    first = desk.one(effects.StoreEvent)
    desk.succeed("dog-b", "dog-c")
    assert desk.take(effects.StoreEvent) == [], "they would overtake one another"
    desk.do(events.EventStored(key, desk.write(first)))
    assert desk.store() == ["succeeded"]


def test_an_event_whose_answer_was_lost_is_stored_once() -> None:
    for stored in (True, False):
        desk = ChainsDesk()
        key = desk.submit(chain_of({"a": []}))
        desk.started()
        desk.succeed("dog-a")
        lost = desk.one(effects.StoreEvent)
        if stored:
            desk.write(lost)
        desk.do(events.ChainUnread(key))
        desk.tick()
        assert desk.one(effects.ReadChain).key == key
        desk.do(events.ChainFound(key, desk.read(key)))
        # Read anew, the step is looked up again; its result is found at once.
        for start in desk.take(effects.StartStep):
            desk.succeed(start.job_id)
        desk.store()
        assert [each.event for each in desk.stream[key]] == ["submitted", "succeeded"]
        assert not desk.engine.chains


def test_a_cancel_whose_event_was_lost_is_stored_again() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    desk.started()
    desk.do(events.CancelAsked(key, "no", 1))
    desk.take(effects.StoreEvent)
    desk.do(events.EventInDoubt(key))
    desk.take(effects.ReadChain)
    desk.do(events.ChainFound(key, desk.read(key)))
    assert desk.store() == ["cancelling"]
    assert desk.one(effects.Answer).ask == 1
    assert desk.started() == ["dog-mesh"], "its job may be there"
    assert {wish.job_id for wish in desk.take(effects.CancelJob)} == {"dog-mesh"}
    desk.cancel_job("dog-mesh")
    assert desk.store() == ["cancelled"]


def test_a_former_leader_that_writes_late_is_refused_and_reads_what_stands() -> None:
    former = ChainsDesk()
    key = former.submit(chain_of({"a": []}))
    former.started()
    leader = ChainsDesk()
    leader.stream = former.stream
    leader._seq = 50
    leader.do(events.ChainFound(key, leader.read(key)))
    leader.started()
    leader.succeed("dog-a")
    assert leader.store() == ["succeeded"]
    former.succeed("dog-a")
    assert former.store() == ["succeeded refused"]
    former.one(effects.ReadChain)
    former.do(events.ChainFound(key, former.read(key)))
    assert not former.engine.chains
    assert former.store() == []


def test_a_step_that_a_former_leader_cancelled_too_late_ends_as_its_job_does() -> None:
    former = ChainsDesk()
    key = former.submit(chain_of({"a": [], "b": ["a"], "c": ["b"]}))
    former.started()
    leader = ChainsDesk()
    leader.stream, leader._seq = former.stream, 50
    leader.do(events.ChainFound(key, leader.read(key)))
    assert leader.started() == ["dog-a"]
    # The former one does not know yet that it is one.
    former.do(events.CancelAsked(key, "no", 1))
    assert former.store() == ["cancelling"]
    assert former.words(key) == {"a": "queued", "b": "cancelled", "c": "cancelled"}
    leader.succeed("dog-a")
    assert leader.started() == ["dog-b"]
    assert leader.store() == ["step refused"]
    leader.one(effects.ReadChain)
    leader.do(events.ChainFound(key, leader.read(key)))
    leader.succeed(*leader.started())
    leader.take(effects.CancelJob)
    assert leader.started() == ["dog-b"], "its job is there, whatever the story says"
    assert {wish.job_id for wish in leader.take(effects.CancelJob)} == {"dog-b"}
    leader.succeed("dog-b")
    leader.started()
    leader.cancel_job("dog-c")
    assert leader.store()[-1] == "cancelled"
    assert leader.words(key) == {"a": "succeeded", "b": "succeeded", "c": "cancelled"}


def test_nothing_is_done_while_another_may_lead() -> None:
    leads = [True]
    desk = ChainsDesk(leads=lambda now: leads[0])
    key = desk.submit(chain_of({"a": [], "b": []}))
    desk.started()
    leads[0] = False
    desk.do(events.CancelAsked(key, "no", 1))
    desk.succeed("dog-a")
    desk.tick()
    assert desk.effects == []
    leads[0] = True
    desk.tick()
    assert {wish.job_id for wish in desk.take(effects.CancelJob)} == {"dog-a", "dog-b"}
    assert desk.store() == ["cancelling", "step"]
    assert desk.one(effects.Answer).ask == 1


def test_a_group_is_one_status_and_one_event_at_its_end() -> None:
    desk = ChainsDesk()
    key = desk.submit(group_of(3))
    assert desk.started() == ["lot-1", "lot-2", "lot-3"]
    desk.succeed("lot-1", "lot-3")
    assert desk.store() == []
    desk.fail("lot-2")
    assert desk.store() == ["failed"]
    assert desk.words(key) == {"lot-1": "succeeded", "lot-2": "failed", "lot-3": "succeeded"}
    desk.do(events.RetryAsked(desk.ended(key), 1))
    desk.store()
    assert desk.started() == ["lot-2-r2"]


def test_one_job_may_be_in_two_groups() -> None:
    desk = ChainsDesk()
    request = group_of(1)
    job = request.jobs[0]
    named = [msgspec.structs.replace(job, job_id="same")]
    first = desk.submit(msgspec.structs.replace(request, jobs=named))
    second = desk.submit(msgspec.structs.replace(request, group_id="other", jobs=named))
    desk.started()
    desk.succeed("same")
    assert desk.store() == ["succeeded", "succeeded"]
    assert [desk.stream[key][-1].event for key in (first, second)] == ["succeeded", "succeeded"]


def test_memory_is_bounded_and_given_back() -> None:
    desk = ChainsDesk(most_steps=4)
    desk.submit(chain_of(LINE))
    assert desk.engine.full(1) is None
    assert "3 steps" in (desk.engine.full(2) or "")
    desk.started()
    desk.fail("dog-mesh")
    desk.store()
    assert desk.engine.full(4) is None
    assert not desk.engine._steps


def test_a_job_of_which_nobody_knows_anything_is_looked_for_now_and_then() -> None:
    known = {"dog-a"}
    desk = ChainsDesk(is_known=lambda job_id: job_id in known)
    key = desk.submit(chain_of({"a": [], "b": []}))
    desk.started()
    desk.tick(31)
    (again,) = desk.take(effects.StartStep)
    assert again.job_id == "dog-b"
    desk.do(events.StepStarted(key, "dog-b"))
    desk.tick(1)
    assert desk.take(effects.StartStep) == []
    desk.tick(31)
    assert [start.job_id for start in desk.take(effects.StartStep)] == ["dog-b"]
    desk.succeed("dog-a", "dog-b")
    assert desk.store()[-1] == "succeeded"


def test_a_move_that_the_table_lacks_raises() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of({"a": []}))
    step = desk.engine.chains[key].steps[0]
    with pytest.raises(InvalidTransition, match="dog-a"):
        step.move(StepState.WAITING)


def test_what_has_not_ended_is_told_by_the_names_alone() -> None:
    counts = {
        "p3d.chains.a.submitted": 1,
        "p3d.chains.a.step": 3,
        "p3d.chains.b.submitted": 1,
        "p3d.chains.b.failed": 1,
        "p3d.chains.c.submitted": 1,
        "p3d.chains.c.failed": 1,
        "p3d.chains.c.retried": 1,
        "p3d.groups.b.submitted": 1,
        "p3d.groups.b.cancelling": 1,
        "p3d.groups.old.succeeded": 1,
    }
    assert unfinished(counts, Subjects()) == [("chain", "a"), ("chain", "c"), ("group", "b")]


@pytest.mark.parametrize("seed", range(60))
def test_leaders_that_die_at_any_moment_bring_every_chain_to_one_end(seed: int) -> None:
    """The stream and the results are all that the next one has; answers get lost, and people cancel and retry."""
    rng = random.Random(seed)
    names = [f"s{n}" for n in range(rng.randint(1, 6))]
    needs = {name: [each for each in names[:place] if rng.random() < 0.5] for place, name in enumerate(names)}
    request = chain_of(needs) if rng.random() < 0.8 else group_of(4)
    results: dict[str, StepState] = {}
    published: set[str] = set()
    desk = ChainsDesk()
    key = desk.submit(request)
    asks = itertools.count(1)
    for _ in range(400):
        if rng.random() < 0.05:
            successor = ChainsDesk()
            successor.stream, successor._seq, successor.mono = desk.stream, desk._seq, desk.mono
            desk = successor
            desk.do(events.ChainFound(key, desk.read(key)))
        if desk.stream[key][-1].ends and rng.random() < 0.1:
            record = desk.ended(key)
            if record.round_no < 3 and desk.stream[key][-1].event != "succeeded":
                desk.do(events.RetryAsked(record, next(asks)))
        if rng.random() < 0.01:
            desk.do(events.CancelAsked(key, "no", next(asks)))
        for job_id in sorted(published - results.keys()):
            if rng.random() < 0.2:
                results[job_id] = rng.choice([StepState.SUCCEEDED] * 5 + [StepState.FAILED])
                if rng.random() < 0.9 and desk.engine.follows(job_id):
                    desk.do(events.JobEnded(job_id, results[job_id], None))
                elif desk.engine.follows(job_id):
                    # It dies before it has heard of it.
                    successor = ChainsDesk()
                    successor.stream, successor._seq, successor.mono = desk.stream, desk._seq, desk.mono
                    desk = successor
                    desk.do(events.ChainFound(key, desk.read(key)))
        _run(desk, rng, results, published)
        desk.tick(0.5)
        assert not desk.stream[key][-1].ends or published <= results.keys(), "no job is left behind"
    for _ in range(200):
        for job_id in sorted(published - results.keys()):
            results[job_id] = StepState.SUCCEEDED
            desk.do(events.JobEnded(job_id, StepState.SUCCEEDED, None))
        _run(desk, random.Random(0), results, published, calm=True)
        desk.tick(0.5)
    story = [each.event for each in desk.stream[key]]
    assert desk.stream[key][-1].ends, story
    rounds = 1 + story.count("retried")
    assert sum(word in ("succeeded", "failed", "cancelled") for word in story) == rounds, story
    assert not desk.engine.chains
    if story[-1] == "succeeded":
        assert set(desk.words(key).values()) == {"succeeded"}


def _run(
    desk: ChainsDesk,
    rng: random.Random,
    results: dict[str, StepState],
    published: set[str],
    *,
    calm: bool = False,
) -> None:
    """What the shell does: each call may fail, or its answer be lost."""
    lost = 0.0 if calm else 0.1
    for start in desk.take(effects.StartStep):
        key = ChainKey(*start.key)
        if rng.random() < lost:
            desk.do(events.StepUnstarted(key, start.job_id))
        elif start.job_id in results:
            desk.do(events.JobEnded(start.job_id, results[start.job_id], None))
        else:
            published.add(start.job_id)
            late = rng.random() < lost
            desk.do(events.StepUnstarted(key, start.job_id) if late else events.StepStarted(key, start.job_id))
    for wish in desk.take(effects.CancelJob):
        if wish.job_id not in results:
            results[wish.job_id] = StepState.CANCELLED
            desk.do(events.JobEnded(wish.job_id, StepState.CANCELLED, None))
    for read in desk.take(effects.ReadChain):
        late = rng.random() < lost
        desk.do(events.ChainUnread(read.key) if late else events.ChainFound(read.key, desk.read(read.key)))
    for store in desk.take(effects.StoreEvent):
        chance = rng.random()
        if chance < lost:
            desk.do(events.ChainUnread(store.key))
            continue
        seq = desk.write(store)
        if not seq or chance < 2 * lost:
            desk.do(events.EventInDoubt(store.key))
        else:
            desk.do(events.EventStored(store.key, seq))
    desk.take(effects.Answer)
