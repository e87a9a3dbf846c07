"""Variants on the wire: what a job may name, in which it may run, which start is preferred; and earlier versions."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from pocket3d.contracts.api import ControlRequest, LoadRequest
from pocket3d.contracts.codec import WireError, decode, encode
from pocket3d.contracts.commands import Award, BidPlaced, CallForBids, Lot
from pocket3d.contracts.jobs import Job, Limits, RetryPolicy, SubmitRequest, admit
from pocket3d.contracts.messages import AdapterOffer, Advert, Resident, Result, RunningJob, Status
from pocket3d.contracts.schema_export import schema_of
from pocket3d.contracts.variants import (
    Choice,
    RaisedNeed,
    Variant,
    Wish,
    best_first,
    choices,
    equal_starts,
    label,
    problem_of,
)
from pocket3d.coordinator.leadership.request_fingerprint import request_digest

SMALL = Variant(name="512", vram_mb=8000, quality=1)
LARGE = Variant(name="1024", vram_mb=16_000, quality=2)
HUGE = Variant(name="1536", vram_mb=24_000, quality=3)


def adapter(*variants: Variant, vram_mb: int = 8000, adapter_id: str = "sized") -> AdapterOffer:
    return AdapterOffer(
        adapter_id=adapter_id,
        feature="f",
        vram_mb=vram_mb,
        max_concurrent=1,
        devices=["cuda"],
        available=True,
        variants=list(variants),
    )


# ---------------------------------------------------------------- in which a job may run


def test_the_best_comes_first_and_of_equals_the_smaller() -> None:
    equal = Variant(name="1024-fp16", vram_mb=9000, quality=2)
    assert best_first([SMALL, LARGE, equal]) == [equal, LARGE, SMALL]


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (Wish(), [Choice("1024", 2, 16_000), Choice("512", 1, 8000)]),
        (Wish("512"), [Choice("512", 1, 8000)]),
        (Wish("2048"), []),
        # The memory that a job asks for, and the best variant that declares no more.
        (Wish(vram_mb=16_000), [Choice("1024", 2, 16_000, 16_000), Choice("512", 1, 8000, 16_000)]),
        (Wish(vram_mb=15_999), [Choice("512", 1, 8000, 15_999)]),
        (Wish(vram_mb=5), [Choice("512", 1, 8000, 5)]),
        # A variant that is named, after it ran out of memory.
        (Wish("1024", 20_000), [Choice("1024", 2, 16_000, 20_000)]),
    ],
)
def test_the_ways_to_run_a_job(wish: Wish, found: list[Choice]) -> None:
    assert choices(adapter(SMALL, LARGE), wish) == found


def test_an_adapter_without_variants_is_one_way_unless_one_is_named() -> None:
    assert choices(adapter(vram_mb=700), Wish()) == [Choice(None, 0, 700)]
    assert choices(adapter(vram_mb=700), Wish(vram_mb=900)) == [Choice(None, 0, 700, 900)]
    assert choices(adapter(vram_mb=700), Wish("512")) == []


def raised(variant: str, vram_mb: int | None, adapter_id: str = "sized") -> RaisedNeed:
    return RaisedNeed(adapter_id=adapter_id, variant=variant, vram_mb=vram_mb)


@pytest.mark.parametrize(
    ("failed", "needs"),
    [
        ([raised("1024", 20_000)], {"1536": 24_000, "1024": 20_000, "512": 8000}),
        ([raised("1024", 30_000)], {"1536": 30_000, "1024": 30_000, "512": 8000}),
        ([raised("1024", None)], {"512": 8000}),
        ([raised("1024", None), raised("512", 9000)], {"512": 9000}),
        ([raised("512", None)], {}),
        ([raised("1024", 20_000, "other")], {"1536": 24_000, "1024": 16_000, "512": 8000}),
        ([raised("4096", None)], {"1536": 24_000, "1024": 16_000, "512": 8000}),
    ],
)
def test_what_a_job_needs_after_it_ran_out_of_memory(failed: list[RaisedNeed], needs: dict[str, int]) -> None:
    ways = choices(adapter(SMALL, LARGE, HUGE), Wish(raised=tuple(failed)))
    assert {way.variant: way.need_mb for way in ways} == needs


def test_starts_within_the_wait_are_equal_to_the_first() -> None:
    assert equal_starts([], 0.0) == []
    assert equal_starts([3.0, 3.1, 3.2], 0.0) == [True, True, False]
    assert equal_starts([10.0, 40.0, 40.1, 0.0], 40.0) == [True, True, False, True]


@pytest.mark.parametrize("quality", [1_000_000, -1_000_000])
def test_how_far_a_quality_reaches(quality: int) -> None:
    assert decode(Variant, b'{"name": "a", "vram_mb": 1, "quality": %d}' % quality).quality == quality
    with pytest.raises(WireError, match="quality"):
        decode(Variant, b'{"name": "a", "vram_mb": 1, "quality": %d}' % (quality + (1 if quality > 0 else -1)))


def test_wrong_lists_are_told() -> None:
    assert problem_of([SMALL, LARGE]) is None
    assert "there twice" in (problem_of([SMALL, SMALL]) or "")
    for name in ("", "a b", "a/b", "-a", "x" * 33, "ü"):
        assert "want 1 to 32" in (problem_of([Variant(name=name, vram_mb=1, quality=0)]) or "")


def test_names_in_words() -> None:
    assert (label("a", None), label("a", "512")) == ("a", "a as 512")


# ---------------------------------------------------------------- a job that names one


def body(**fields: Any) -> bytes:
    return json.dumps({"inputs": {}, **fields}).encode()


def test_a_job_names_a_variant_or_none() -> None:
    for fields, wanted in (({"variant": "512"}, "512"), ({"variant": None}, None), ({}, None)):
        admission = admit("echo", body(**fields), None, "s0-1")
        assert admission.rejection is None and admission.job is not None
        assert admission.job.wanted_variant == wanted


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"variant": "a b"}, "'a b': want 1 to 32 of"),
        ({"variant": ""}, "'': want 1 to 32 of"),
        ({"variant": "x" * 33}, "want 1 to 32 of"),
        ({"variant": 512}, "Expected `str | null`, got `int`"),
        ({"variant": "512", "vram_mb": 9000}, "variant and vram_mb exclude each other"),
        ({"variant": "512", "vram_mb": 0}, "variant and vram_mb exclude each other"),
    ],
)
def test_a_wrong_variant_is_refused_with_its_field(fields: dict[str, Any], message: str) -> None:
    rejection = admit("echo", body(**fields), None, "s0-1").rejection
    assert rejection is not None and (rejection.code.value, rejection.field) == ("invalid_input", "variant")
    assert message in rejection.message
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema_of("job")).validate(json.loads(body(**fields)))


@pytest.mark.parametrize("fields", [{"variant": "512", "vram_mb": None}, {"variant": None, "vram_mb": 9000}])
def test_null_excludes_nothing(fields: dict[str, Any]) -> None:
    assert admit("echo", body(**fields), None, "s0-1").rejection is None
    jsonschema.Draft202012Validator(schema_of("job")).validate(json.loads(body(**fields)))


def test_a_submit_request_hands_its_variant_on() -> None:
    assert SubmitRequest(feature="echo", inputs={}, variant="512").job().wanted_variant == "512"
    assert SubmitRequest(feature="echo", inputs={}, variant=None).job() == Job(inputs={})


# ---------------------------------------------------------------- earlier versions


class FormerJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job, as a version without variants reads it: it refuses a field that it does not know."""

    inputs: dict[str, Any]
    job_id: str | None = None
    model_preference: str | list[str] | None = None
    vram_mb: int | None = None
    tenant: str = "default"
    metadata: dict[str, Any] = {}
    limits: Limits = Limits()
    retry: RetryPolicy = RetryPolicy()
    v: int = 1


class FormerAward(msgspec.Struct, frozen=True, kw_only=True):
    """As far as it matters here."""

    job: FormerJob


class FormerControlRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    v: int = 1
    agent_id: str | None = None
    adapter_id: str
    device: str | None = None


def award(job: Job) -> Award:
    return Award(
        job_id="j",
        feature="echo",
        attempt=1,
        token="1-1",
        adapter_id="echo",
        device="d",
        job=job,
        submitted_at="",
        queued_s=0.0,
    )


@pytest.mark.parametrize("fields", [{}, {"variant": None}])
def test_an_agent_of_an_earlier_version_reads_the_award_of_a_job_without_a_variant(fields: dict[str, Any]) -> None:
    job = decode(Job, body(**fields))
    assert decode(FormerAward, encode(award(job))).job.inputs == {}
    assert encode(job) == encode(FormerJob(inputs={})), "so that a second publish is known by the digest of the first"


def test_the_digest_of_a_request_without_a_variant_is_the_former_one() -> None:
    # As the version before variants computed it.
    former = "f75e75130cd88b4dfccfd9352045afeef6c752ba8c07f6fa15a2c09bc953f67f"
    assert request_digest(Job(inputs={"a": 1})) == former
    assert request_digest(Job(inputs={"a": 1}, variant=None)) == former
    assert request_digest(Job(inputs={"a": 1}, variant="512")) != former


def test_an_agent_of_an_earlier_version_takes_a_request_to_load() -> None:
    sent = encode(LoadRequest(adapter_id="a", device="d"))
    assert decode(FormerControlRequest, sent) == FormerControlRequest(adapter_id="a", device="d")
    assert decode(LoadRequest, encode(LoadRequest(adapter_id="a", variant="512"))).wanted_variant == "512"
    assert decode(LoadRequest, b'{"adapter_id": "a", "variant": null}').wanted_variant is None
    assert issubclass(LoadRequest, ControlRequest)


@pytest.mark.parametrize(
    "message",
    [
        Advert(
            agent_id="a",
            incarnation="1-x",
            seq=1,
            host="h",
            pid=1,
            version="0",
            draining=False,
            residents=[Resident(adapter_id="a", device="d", pid=1, vram_mb=1, idle_s=0.0)],
            running=[RunningJob(job_id="j", attempt=1, token="t", adapter_id="a", device="d")],
            adapters=[adapter()],
        ),
        BidPlaced(lot=0, adapter_id="a", device="d", claim_mb=0, slots=1, est_queue_s=0.0, est_load_s=0.0),
        CallForBids(coordinator_id="c", epoch=1, call_id=1, lots=[Lot(lot=0, feature="f")]),
        award(Job(inputs={})),
        Result(job_id="j", feature="f", status="succeeded"),
        Status(
            job_id="j",
            feature="f",
            priority="normal",
            tenant="t",
            status="queued",
            attempt=0,
            at="2026-11-28T00:00:00Z",
        ),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_an_earlier_version_says_has_no_variants(message: Any) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(each) for key, each in value.items() if key not in NEW}
        return [without(each) for each in value] if isinstance(value, list) else value

    said = without(json.loads(encode(message)))
    assert decode(type(message), json.dumps(said).encode()) == message


#: Fields that came with variants.
NEW = ("variant", "variants", "raised", "variant_wait_s")
