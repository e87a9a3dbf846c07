"""What errors of the client carry beside their words."""

from __future__ import annotations

from pocket3d.bus.client.errors import ChainWaitTimeout, WaitTimeout


def test_a_wait_that_ended_says_for_what_and_how_long_it_waited() -> None:
    job, chain = WaitTimeout("j1", 2.5, "it runs"), ChainWaitTimeout("chain", "c1", 2.5)
    assert (job.job_id, job.timeout_s, str(job)) == ("j1", 2.5, "job j1 has no result after 2.5 s; it runs")
    assert (chain.name, chain.timeout_s, str(chain)) == ("c1", 2.5, "chain c1 has not ended after 2.5 s")
