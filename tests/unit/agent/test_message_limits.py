"""What an agent says fits into one message of the server, however small that is."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import AttemptFailed, AttemptStarted, CallForBids, Lot, ReportState, StateReported
from pocket3d.contracts.jobs import Job
from pocket3d.gpu_agents.engine import effects, events
from pocket3d.gpu_agents.engine.message_limits import _at_most, fit_outcomes
from support.agent_rig import EPOCH, AgentRig, adapter, fixed, of, only

#: Of a server that was set up for small messages, bytes.
SMALL = 8 * 1024


def failed(number: int, message: str) -> AttemptFailed:
    return AttemptFailed(
        job_id=f"j{number}",
        token=f"1-{number}",
        attempt=1,
        device="fixed-0",
        adapter_id="alpha",
        at="2026-11-28T00:00:00.000Z",
        code="adapter_error",
        message=message,
    )


def small_rig(**more: Any) -> AgentRig:
    rig = AgentRig(connected=False, **more)
    rig.tell(events.Connected(SMALL))
    rig.tell(events.StorageChecked())
    return rig


def test_outcomes_go_out_in_reports_that_fit_until_all_are_told() -> None:
    rig = small_rig(adapters=[adapter(max_concurrent=20)])
    tokens = [rig.take() for _ in range(20)]
    names = [f"{token}/attempt_started" for token in tokens]
    for token in tokens:
        # Each character takes two bytes.
        rig.tell(events.InputsFailed(token, "artifact_missing", "ü" * 1000))
    told: set[str] = set()
    for _ in range(60):
        reports = [effect.report for effect in of(rig.log, effects.SendOutcomes)]
        rig.log.clear()
        for report in reports:
            assert len(encode(report)) <= SMALL
            kinds = {AttemptFailed: "attempt_failed", AttemptStarted: "attempt_started"}
            noted = tuple(f"{each.token}/{kinds[type(each)]}" for each in report.outcomes)
            assert noted
            told.update(noted)
            rig.tell(events.OutcomesAnswered(noted))
        rig.pass_time(0.5)
    assert told >= {f"{token}/attempt_failed" for token in tokens}
    assert told <= {f"{token}/attempt_failed" for token in tokens} | set(names)
    assert not rig.engine.core.runs


@pytest.mark.parametrize("letter", ["x", "\u00fc", '"', "\U0001f600"])
def test_one_outcome_that_is_too_large_is_told_with_a_shorter_message(letter: str) -> None:
    (told,) = fit_outcomes([failed(1, letter * 4000), failed(2, "next")], 2048)
    assert isinstance(told, AttemptFailed)
    assert len(encode(told)) <= 2048 and told.message.endswith("...") and told.token == "1-1"


def test_a_report_takes_outcomes_up_to_the_last_byte_that_is_left_beside_its_envelope() -> None:
    both = [failed(1, "a"), failed(2, "b")]
    # Each is followed by a comma or a bracket.
    just = 512 + sum(len(encode(each)) + 1 for each in both)
    assert fit_outcomes(both, just) == both
    assert fit_outcomes(both, just - 1) == both[:1]
    (whole,) = fit_outcomes(both[:1], 512 + len(encode(both[0])) + 1)
    assert whole == both[0]
    assert fit_outcomes([], just) == []


def test_no_more_of_a_message_is_cut_than_must_be() -> None:
    long = failed(1, "x" * 1000)
    (told,) = fit_outcomes([long], 512 + len(encode(long)))
    assert isinstance(told, AttemptFailed) and told.message == "x" * 996 + "..."
    assert len(encode(told)) + 1 <= len(encode(long))
    (bare,) = fit_outcomes([failed(1, "x")], 512)
    assert isinstance(bare, AttemptFailed) and bare.message == "...", "it is told, though nothing of it fits"


def test_what_has_no_message_to_cut_is_told_as_it_is() -> None:
    started = AttemptStarted(
        job_id="j", token="1-1", attempt=1, device="d", adapter_id="a", at="2026-11-28T00:00:00.000Z"
    )
    assert fit_outcomes([started, failed(1, "x")], 512) == [started]


def test_outcomes_that_fit_are_left_as_they_are() -> None:
    both = [failed(1, "a"), failed(2, "b")]
    assert fit_outcomes(both, 1 << 20) == both


def test_schemas_that_do_not_fit_are_left_out_of_the_advert_and_named() -> None:
    large = {"type": "object", "description": "d" * 6000}
    small = {"type": "object", "description": "s" * 100}
    adapters = [adapter("one", parameters=large), adapter("two", parameters=small), adapter("three", parameters=large)]
    rig = small_rig(adapters=adapters)
    sent = of(rig.log, effects.PublishAdvert)[-1]
    assert len(encode(sent.advert)) <= SMALL
    assert sent.advert.adapters is not None
    assert {offer.adapter_id: offer.parameters for offer in sent.advert.adapters} == {
        "one": None,
        "two": small,
        "three": large,
    }
    assert sent.without_schema == ("one",)
    reply = only(rig.command(ReportState(coordinator_id="c", epoch=EPOCH)), effects.Reply).message
    assert isinstance(reply, StateReported) and len(encode(reply)) <= SMALL


def test_an_advert_that_fits_has_every_schema() -> None:
    rig = AgentRig(adapters=[adapter(parameters={"type": "object"})])
    sent = of(rig.log, effects.PublishAdvert)[-1]
    assert sent.without_schema == ()
    assert sent.advert.adapters is not None and sent.advert.adapters[0].parameters == {"type": "object"}


def test_an_answer_to_a_large_call_keeps_its_first_bids() -> None:
    rig = small_rig(adapters=[adapter(vram_mb=100, max_concurrent=4)])
    lots = [Lot(lot=number, feature="text_to_mesh" if number % 2 else "nothing") for number in range(200)]
    wanted = rig.command(CallForBids(coordinator_id="c", epoch=EPOCH, call_id=1, lots=lots))
    answer = only(wanted, effects.SendBids).answer
    assert len(encode(answer)) <= SMALL
    assert [placed.lot for placed in answer.bids][:3] == [1, 3, 5]


def test_a_declined_award_does_not_quote_a_whole_input() -> None:
    rig = AgentRig(adapters=[adapter(parameters={"type": "object", "properties": {"seed": {"type": "integer"}}})])
    award = structs.replace(rig.make_award(), job=Job(inputs={"seed": "x" * 200_000}))
    (answer,) = rig.give(award)
    assert answer.reason is not None and answer.reason.message is not None
    assert len(answer.reason.message) <= 1000


def test_an_advert_that_would_be_too_large_lists_what_runs_and_counts_what_is_only_to_be_stored() -> None:
    rig = small_rig(devices=[fixed(100_000)], adapters=[adapter(vram_mb=100, max_concurrent=60)])
    tokens = [rig.take() for _ in range(60)]
    rig.run(tokens[0])
    for token in tokens[1:]:
        rig.fetch(token)
    finished, running = tokens[:50], tokens[50:]
    for token in finished:
        rig.tell(events.RunFinished(token, {}, (), 0.1))
    rig.pass_time(1)
    advert = of(rig.log, effects.PublishAdvert)[-1].advert
    assert len(encode(advert)) <= SMALL
    listed = [each.token for each in advert.running]
    assert set(running) < set(listed)
    assert advert.unlisted == 60 - len(listed) > 0
    assert "wait to be stored" in (advert.reason or "") and not advert.draining
    assert not rig.give(rig.make_award())[0].accepted
    for token in finished:
        rig.tell(events.ResultStored(token))
    rig.pass_time(1)
    advert = of(rig.log, effects.PublishAdvert)[-1].advert
    assert (advert.unlisted, advert.reason) == (0, None)
    assert [each.token for each in advert.running] == running


def test_an_advert_lists_no_more_finished_runs_than_is_set_whatever_the_server_takes() -> None:
    rig = AgentRig([fixed(100_000)], [adapter(vram_mb=100, max_concurrent=40)], finished_in_adverts=10)
    tokens = [rig.take() for _ in range(40)]
    rig.run(tokens[0])
    for token in tokens[1:]:
        rig.fetch(token)
    for token in tokens[:30]:
        rig.tell(events.RunFinished(token, {}, (), 0.1))
    rig.pass_time(1)
    advert = of(rig.log, effects.PublishAdvert)[-1].advert
    assert sum(each.on_device for each in advert.running) == 10
    assert (len(advert.running), advert.unlisted) == (20, 20)
    assert rig.call().declines


def test_an_adverts_labels_are_never_thought_shorter_than_they_are() -> None:
    rig = AgentRig()
    advert = of(rig.log, effects.PublishAdvert)[-1].advert
    # Each character takes six bytes as JSON.
    labels = {f"{number:03}": "\u0001" * 500 for number in range(40)}
    assert _at_most(structs.replace(advert, labels=labels)) >= len(encode(structs.replace(advert, labels=labels)))
