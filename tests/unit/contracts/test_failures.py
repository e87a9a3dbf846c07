"""Failure codes: all of the wire's, each with its verdict."""

from __future__ import annotations

import pytest

from pocket3d.contracts.failures import FAILURES, DeclineCode, FailureCode, RetryVerdict

#: As the wire documents them.
VERDICTS = {
    "invalid_input": RetryVerdict.NEVER,
    "unknown_feature": RetryVerdict.NEVER,
    "artifact_missing": RetryVerdict.NEVER,
    "input_failed": RetryVerdict.NEVER,
    "too_large": RetryVerdict.NEVER,
    "adapter_unavailable": RetryVerdict.ELSEWHERE,
    "load_failed": RetryVerdict.ELSEWHERE_BACKOFF,
    "adapter_error": RetryVerdict.BACKOFF,
    "invalid_output": RetryVerdict.NEVER,
    "out_of_memory": RetryVerdict.MORE_ROOM,
    "worker_crashed": RetryVerdict.BACKOFF,
    "timeout": RetryVerdict.BACKOFF,
    "agent_lost": RetryVerdict.AT_ONCE,
    "invalid_result": RetryVerdict.NEVER,
    "no_capacity": RetryVerdict.NEVER,
}
INTERNAL = {"cancelled", "handed_back"}


def test_every_code_has_its_facts() -> None:
    assert set(FAILURES) == set(FailureCode)
    assert {code.value for code in FailureCode} == set(VERDICTS) | INTERNAL


@pytest.mark.parametrize(("code", "verdict"), VERDICTS.items())
def test_the_verdict_is_the_documented_one(code: str, verdict: RetryVerdict) -> None:
    assert FAILURES[FailureCode(code)].verdict is verdict


def test_a_producers_fault_is_never_repeated_nor_held_against_an_adapter() -> None:
    for facts in FAILURES.values():
        if facts.fault == "producer":
            assert facts.verdict is RetryVerdict.NEVER
        if facts.fault in ("producer", "nobody", "system"):
            assert not facts.benches


def test_codes_are_words_that_can_stand_in_a_message() -> None:
    for code in (*FailureCode, *DeclineCode):
        assert code.value.replace("_", "").isalpha()
        assert code.value.islower()
