"""One model in two sizes on two cards: 512 takes 5000 MB, 1024 takes 13,000."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pocket3d.bus.client.handle import JobHandle
from pocket3d.contracts.messages import Result
from pocket3d.coordinator.settings import CoordinatorSettings
from support.flow import Flow, play

#: The large card has no room for 512 beside 1024.
CARDS_MB = (17_000, 12_000)


async def sculpt(flow: Flow, seconds: float = 1.0, **request: Any) -> JobHandle:
    inputs = {"text_prompt": "a chair", "seconds": seconds, **request.pop("inputs", {})}
    return await flow.submit("text_to_mesh", inputs=inputs, **request)


def where(result: Result) -> tuple[str, str | None, str | None]:
    return result.status, result.agent_id, result.variant


def test_the_small_card_serves_what_the_large_one_is_too_busy_for(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        first = await sculpt(flow, seconds=20.0)
        await flow.running(first)
        assert (await first.explain()).summary == "runs on agent0/dev-0 with sculptor as 1024, attempt 1"
        second = await sculpt(flow, seconds=3.0)
        await flow.running(second)
        summary = (await second.explain()).summary
        assert summary.startswith("runs on agent1/dev-1 with sculptor as 512, attempt 1; 1024 on agent0/dev-0 was busy")
        assert (await second.status()).variant == "512"
        assert where(await second.result(timeout=60)) == ("succeeded", "agent1", "512")
        assert where(await first.result(timeout=60)) == ("succeeded", "agent0", "1024")
        third = await sculpt(flow)
        assert where(await third.result(timeout=60)) == ("succeeded", "agent0", "1024")

    play(scenario, tmp_path, agents_mb=CARDS_MB, variants=True)


def test_a_large_card_that_is_free_again_loads_the_better_one_though_the_smaller_is_warm(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        filler = await flow.submit(inputs={"seconds": 10.0}, vram_mb=16_000)
        await flow.running(filler)
        second = await sculpt(flow)
        await flow.running(second)
        assert "with sculptor as 512, attempt 1; 1024 on agent0/dev-0 was busy for about" in (
            (await second.explain()).summary
        )
        assert where(await second.result(timeout=60)) == ("succeeded", "agent1", "512")
        await filler.result(timeout=60)
        await flow.settled()
        assert where(await (await sculpt(flow)).result(timeout=60)) == ("succeeded", "agent0", "1024")

    play(scenario, tmp_path, agents_mb=CARDS_MB, variants=True)


def test_a_burst_fills_both_cards(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handles = [await sculpt(flow, seconds=5.0) for _ in range(4)]
        found = await asyncio.gather(*(handle.result(timeout=120) for handle in handles))
        assert {result.status for result in found} == {"succeeded"}
        assert {result.variant for result in found} == {"512", "1024"}

    play(scenario, tmp_path, agents_mb=CARDS_MB, variants=True)


def test_a_named_variant_runs_in_no_other(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        large = [await sculpt(flow, seconds=2.0, variant="1024") for _ in range(2)]
        small = await sculpt(flow, seconds=2.0, variant="512")
        found = await asyncio.gather(*(handle.result(timeout=60) for handle in large))
        assert [where(result) for result in found] == [("succeeded", "agent0", "1024")] * 2
        assert (await small.result(timeout=60)).variant == "512"
        nobody = await sculpt(flow, variant="2048", limits={"schedule_to_start_s": 5.0})
        await flow.until(lambda: flow.world.states()["queued"] == 1)
        told = await nobody.explain()
        assert {reason.message for reason in told.reasons} == {
            "no adapter here has a variant 2048 (sculptor has 512, 1024)"
        }
        assert (await nobody.result(timeout=60)).status == "expired"

    play(scenario, tmp_path, agents_mb=CARDS_MB, variants=True)


def test_a_better_one_is_waited_for_where_that_is_set(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        # What it learns of the run's length is what it expects of the next.
        await (await sculpt(flow, seconds=8.0)).result(timeout=60)
        first = await sculpt(flow, seconds=8.0)
        await flow.running(first)
        second = await sculpt(flow, seconds=1.0)
        await flow.until(lambda: flow.world.states()["queued"] == 1)
        await asyncio.sleep(1.0)
        assert "waits for sculptor as 1024 on agent0/dev-0" in (await second.explain()).summary
        assert where(await second.result(timeout=60)) == ("succeeded", "agent0", "1024")

    settings = CoordinatorSettings(variant_wait_s=30.0)
    play(scenario, tmp_path, agents_mb=CARDS_MB, variants=True, coordinator=settings)


def test_after_running_out_of_memory_a_job_takes_a_smaller_one(tmp_path: Path) -> None:
    async def scenario(flow: Flow) -> None:
        handle = await sculpt(flow, seconds=3.0, inputs={"too_large": ["1024"]})
        await flow.until(lambda: flow.world.attempts.get(handle.job_id) == 2)
        await flow.until(lambda: flow.story(handle.job_id).count("started") == 2)
        summary = (await handle.explain()).summary
        assert summary.endswith("with sculptor as 512, attempt 2; it ran out of memory as 1024")
        result = await handle.result(timeout=60)
        assert (result.status, result.attempt, result.variant) == ("succeeded", 2, "512")
        named = await sculpt(flow, variant="1024", inputs={"too_large": ["1024"]})
        failed = await named.result(timeout=60)
        assert failed.status == "failed" and failed.error is not None and failed.error.code == "out_of_memory"
        assert {attempt.variant for attempt in failed.error.attempts} == {"1024"}

    play(scenario, tmp_path, agents_mb=CARDS_MB, variants=True)
