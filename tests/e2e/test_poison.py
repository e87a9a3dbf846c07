"""Jobs that kill their worker, beside good ones of the same adapter, with real processes."""

from __future__ import annotations

import pytest

from support.fleet_processes import FleetProcesses
from support.misbehaving import SUPPORT_DIR

pytestmark = pytest.mark.e2e

GOOD = 40
#: A job with `crash` among its inputs ends its worker at once, like a segmentation fault in a model's code.
ADAPTER = {
    "class": "misbehaving.CrashOnRequest",
    "path": [SUPPORT_DIR],
    "config": {"vram_requirement": 16, "max_concurrent": 4},
}


async def test_two_jobs_that_kill_their_worker_cost_the_others_no_more_than_time(fleet: FleetProcesses) -> None:
    fleet.coordinator()
    fleet.agent("host", "cpu:4096", fleet.models("models", {"crasher": ADAPTER}))
    await fleet.until_led(agents=1, timeout=60)
    for number in range(GOOD):
        if number in (3, 11):
            retry = {"max_attempts": 2, "initial_s": 0.2}
            await fleet.submit("misbehave", {"job_id": f"poison-{number}", "inputs": {"crash": True}, "retry": retry})
        await fleet.submit("misbehave", {"job_id": f"good-{number}", "inputs": {"sleep_s": 0.2}})
    results = {each["job_id"]: each for each in await fleet.until_results(GOOD + 2, timeout=240)}
    good = [results[f"good-{number}"] for number in range(GOOD)]
    assert {each["status"] for each in good} == {"succeeded"}
    for number in (3, 11):
        error = results[f"poison-{number}"]["error"]
        assert error["code"] == "worker_crashed"
        assert sum(each["counted"] for each in error["attempts"]) == 2
    # Two crashes under at most three others each; whoever else was awarded to the dying worker is tried again too.
    assert sum(each["attempt"] - 1 for each in good) <= 12
