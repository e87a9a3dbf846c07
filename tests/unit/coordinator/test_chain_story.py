"""What is said of a chain and of a group: how it stands, what each step waits for, and how much is done."""

from __future__ import annotations

import pytest

from pocket3d.contracts.chain_messages import ChainStatus, GroupStatus, StepError
from pocket3d.contracts.messages import JobError, Result
from pocket3d.coordinator.chains.record import ChainRecord, Failure, StepState
from pocket3d.coordinator.chains.story import end_of, record_from, status_of
from support.chain_desk import ChainsDesk, chain_of, group_of

LINE = {"mesh": [], "skin": ["mesh"], "rig": ["skin", "mesh"]}
S = StepState
BROKE = Failure("adapter_error", "it broke", "inputs.seed")


def stands(record: ChainRecord, states: tuple[StepState, ...]) -> ChainRecord:
    """The record, its steps as given, moved there one by one."""
    for step, state in zip(record.steps, states, strict=True):
        if state is not S.WAITING:
            if state is not S.CANCELLED:
                step.move(S.STARTING)
            if state in (S.STARTED, S.SUCCEEDED, S.FAILED):
                step.move(S.STARTED)
            if state is not S.STARTING and state is not S.STARTED:
                step.move(state, BROKE if state is S.FAILED else None)
    return record


def chain(*states: StepState) -> ChainRecord:
    desk = ChainsDesk()
    key = desk.submit(chain_of(LINE))
    return stands(desk.read(key) or pytest.fail("it has not ended"), states)


def group(*states: StepState) -> ChainRecord:
    desk = ChainsDesk()
    key = desk.submit(group_of(len(states)))
    return stands(desk.read(key) or pytest.fail("it has not ended"), states)


def told(*states: StepState) -> ChainStatus:
    status = status_of(chain(*states), "now")
    assert isinstance(status, ChainStatus)
    return status


def told_of_group(*states: StepState) -> GroupStatus:
    status = status_of(group(*states), "now")
    assert isinstance(status, GroupStatus)
    return status


@pytest.mark.parametrize(
    ("states", "word", "fraction"),
    [
        ((S.WAITING, S.WAITING, S.WAITING), "queued", 0.0),
        ((S.STARTED, S.WAITING, S.WAITING), "queued", 0.0),
        ((S.SUCCEEDED, S.WAITING, S.WAITING), "running", 0.3333),
        ((S.SUCCEEDED, S.STARTED, S.WAITING), "running", 0.3333),
        ((S.SUCCEEDED, S.SUCCEEDED, S.STARTING), "running", 0.6667),
        ((S.SUCCEEDED, S.SUCCEEDED, S.SUCCEEDED), "succeeded", 1.0),
        ((S.SUCCEEDED, S.FAILED, S.CANCELLED), "failed", 1.0),
        ((S.SUCCEEDED, S.CANCELLED, S.CANCELLED), "cancelled", 1.0),
    ],
)
def test_a_chain_and_a_group_are_said_to_stand_where_their_steps_do(
    states: tuple[StepState, ...], word: str, fraction: float
) -> None:
    assert (told(*states).status, told(*states).fraction) == (word, fraction)
    assert (told_of_group(*states).status, told_of_group(*states).fraction) == (word, fraction)


def test_one_that_ends_by_a_wish_is_cancelled_whatever_failed_meanwhile() -> None:
    record = chain(S.SUCCEEDED, S.FAILED, S.CANCELLED)
    record.cancel_reason = "enough"
    status = status_of(record, "now")
    assert (status.status, status.cancelling, status.reason) == ("cancelled", True, "enough")
    assert (told(*[S.WAITING] * 3).cancelling, told(*[S.WAITING] * 3).reason) == (False, None)


@pytest.mark.parametrize(
    ("states", "reasons"),
    [
        ((S.STARTED, S.WAITING, S.WAITING), [None, "waits for mesh", "waits for skin, mesh"]),
        ((S.SUCCEEDED, S.STARTED, S.WAITING), [None, None, "waits for skin"]),
        ((S.SUCCEEDED, S.WAITING, S.WAITING), [None, None, "waits for skin"]),
        ((S.SUCCEEDED, S.SUCCEEDED, S.WAITING), [None, None, None]),
        ((S.SUCCEEDED, S.FAILED, S.CANCELLED), [None, None, None]),
    ],
)
def test_a_step_that_waits_names_those_that_have_not_succeeded(
    states: tuple[StepState, ...], reasons: list[str | None]
) -> None:
    assert [step.reason for step in told(*states).steps] == reasons


def test_a_step_that_failed_says_why_and_a_job_of_a_group_by_which_code() -> None:
    steps = told(S.SUCCEEDED, S.FAILED, S.CANCELLED).steps
    assert [step.error for step in steps] == [
        None,
        StepError(code=BROKE.code, message=BROKE.message, field=BROKE.field),
        None,
    ]
    status = told_of_group(S.SUCCEEDED, S.FAILED, S.STARTED, S.STARTED)
    assert [job.code for job in status.jobs] == [None, BROKE.code, None, None]
    assert status.counts == {"succeeded": 1, "failed": 1, "queued": 2}


ENDS: list[tuple[str, JobError | None, StepState, Failure | None]] = [
    ("succeeded", None, S.SUCCEEDED, None),
    ("failed", JobError(code="too_large", message="m", field="f"), S.FAILED, Failure("too_large", "m", "f")),
    ("rejected", JobError(code="invalid_input", message="m"), S.FAILED, Failure("invalid_input", "m")),
    ("expired", None, S.FAILED, Failure("expired", "its job expired")),
    ("cancelled", JobError(code="cancelled", message="m"), S.CANCELLED, Failure("cancelled", "m")),
    ("cancelled", None, S.CANCELLED, None),
]


@pytest.mark.parametrize(("status", "error", "state", "failure"), ENDS)
def test_how_a_step_ends_is_in_the_result_of_its_job(
    status: str, error: JobError | None, state: StepState, failure: Failure | None
) -> None:
    result = Result(job_id="dog-mesh", feature="echo", status=status, attempt=1, error=error)
    assert end_of(result) == (state, failure)


def test_a_leader_finds_what_the_last_event_tells_and_looks_up_what_had_not_ended() -> None:
    desk = ChainsDesk()
    key = desk.submit(chain_of({"a": [], "b": [], "c": []}))
    desk.started()
    desk.succeed("dog-a")
    desk.fail("dog-b", "too_large")
    desk.store()
    found = desk.read(key)
    assert found is not None
    assert [(step.state, step.failure) for step in found.steps] == [
        (S.SUCCEEDED, None),
        (S.FAILED, Failure("too_large", "it broke")),
        (S.WAITING, None),
    ]
    assert (found.restored, found.last_seq, found.cancel_reason) == (True, desk.stream[key][-1].seq, None)
    # Of the jobs of a group no words are kept.
    lot = desk.submit(group_of(2))
    desk.started()
    desk.succeed("lot-1")
    desk.fail("lot-2", "too_large")
    desk.store()
    first, last = desk.stream[lot][0], desk.stream[lot][-1]
    assert [step.failure for step in record_from(lot, first, last).steps] == [None, Failure("too_large", "")]
