"""Fair share on virtual times: whose turn it is, what a start costs, and what is remembered of tenants."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from pocket3d.coordinator.auction.fair_share import Charge, Cost, FairShare, Flow, booked_share
from pocket3d.coordinator.settings import TenantSettings

#: The level of `normal`.
NORMAL = 1


class Line:
    """A priority in which some tenants always have a job that waits."""

    def __init__(self, *always: str, **tenants: TenantSettings) -> None:
        self.nearer: list[str] = []
        self.share = FairShare(tenants, 3, lambda flow: self.nearer.append(flow.account.tenant))
        self.flows: dict[str, Flow] = {}
        for tenant in always:
            self.come(tenant)

    def come(self, tenant: str) -> None:
        self.share.queued(tenant)
        self.flows[tenant] = self.share.waits(tenant, NORMAL)

    def leave(self, tenant: str) -> None:
        self.share.waits_no_more(self.flows[tenant])
        self.share.unqueued(tenant)
        if not self.flows[tenant].waiting:
            del self.flows[tenant]

    def next(self) -> str:
        return min(self.flows, key=lambda tenant: self.flows[tenant].rank)

    def start(self, tenant: str, seconds: float = 1.0, share: float = 1.0, *, last: bool = False) -> Charge:
        """Start a job of a tenant, which has more unless it was its `last`."""
        charge = self.share.start(self.flows[tenant], NORMAL, Cost(seconds, share))
        if not last:
            self.come(tenant)
        self.leave(tenant)
        return charge

    def starts(self, count: int, seconds: float = 1.0) -> str:
        """Who is next, so many times, when one job runs at a time."""
        order = ""
        for _ in range(count):
            order += self.next()
            self.run(order[-1], seconds)
        return order

    def run(self, tenant: str, seconds: float = 1.0, share: float = 1.0, *, took: float | None = None) -> None:
        """Start a job of a tenant and let it end; it took as long as expected, unless said otherwise."""
        charge = self.start(tenant, seconds, share)
        self.share.settle(charge, seconds if took is None else took)


def test_equals_take_turns_in_the_order_in_which_they_came() -> None:
    assert Line("a", "b", "c").starts(9) == "abcabcabc"


def test_a_tenant_of_thrice_the_weight_starts_thrice_as_much() -> None:
    order = Line("a", "b", a=TenantSettings(weight=3.0)).starts(400)
    assert Counter(order) == {"a": 300, "b": 100}
    assert all(abs(order[:n].count("a") - 3 * order[:n].count("b")) <= 3 for n in range(400))


def test_what_counts_is_seconds_times_the_share_of_a_device() -> None:
    line = Line("a", "b")
    used: Counter[str] = Counter()
    for _ in range(600):
        tenant = line.next()
        seconds, share = (10.0, 0.5) if tenant == "a" else (2.0, 1.0)
        used[tenant] += int(seconds * share)
        line.run(tenant, seconds, share)
    assert abs(used["a"] - used["b"]) <= 5 + 2


def test_the_work_of_two_that_wait_differs_by_at_most_a_job_of_each() -> None:
    """Theorem 1 of the paper: over any time in which both wait, |Wf / rf - Wm / rm| <= lf / rf + lm / rm."""
    for seed in range(30):
        rng = random.Random(seed)
        weights = {tenant: rng.choice((0.5, 1.0, 4.0)) for tenant in "abcd"}
        line = Line(*weights, **{t: TenantSettings(weight=w) for t, w in weights.items()})
        served = dict.fromkeys(weights, 0.0)
        history: list[dict[str, float]] = [dict(served)]
        longest = dict.fromkeys(weights, 0.0)
        for _ in range(200):
            tenant = line.next()
            seconds = rng.uniform(0.1, 30.0)
            longest[tenant] = max(longest[tenant], seconds / weights[tenant])
            served[tenant] += seconds / weights[tenant]
            line.run(tenant, seconds)
            history.append(dict(served))
        for _ in range(300):
            begin, end = sorted(rng.sample(history, 2), key=lambda each: sum(each.values()))
            for one in weights:
                for other in weights:
                    apart = abs((end[one] - begin[one]) - (end[other] - begin[other]))
                    assert apart <= longest[one] + longest[other] + 1e-9, f"seed {seed}"


def test_an_idle_tenant_gains_nothing_by_having_been_idle() -> None:
    line = Line("a")
    line.starts(1000)
    line.come("b")
    assert line.starts(6) == "bababa", "it is next, and then they take turns"


def test_a_newcomer_is_next_whatever_the_jobs_before_it_were_expected_to_take() -> None:
    line = Line("a")
    charges = [line.start("a", 30.0) for _ in range(10)]
    line.come("b")
    for charge in charges:
        line.share.settle(charge, 1.0)
    line.come("c")
    assert line.starts(9) == "bcbcbcbcb", "they have what a was served while it was alone to come"


def test_a_newcomer_during_wrong_estimates_does_not_pay_for_them_when_they_are_known() -> None:
    line = Line("a")
    charges = [line.start("a", 1000.0) for _ in range(10)]
    line.come("b")
    line.run("b", 1000.0, took=1.0)
    for charge in charges:
        line.share.settle(charge, 1.0)
    assert Counter(line.starts(29)) == {"a": 10, "b": 19}


def test_a_tenant_alone_gets_no_credit_for_what_it_was_charged_too_much() -> None:
    line = Line("a")
    for _ in range(100):
        line.run("a", 30.0, took=1.0)
    line.come("b")
    assert line.starts(6) == "bababa"


def test_who_runs_longer_than_estimated_pays_for_it() -> None:
    line = Line("a", "b")
    line.run("a", 1.0, took=10.0)
    assert line.starts(12) == "bbbbbbbbbbab"


def test_who_ends_sooner_than_estimated_gets_it_back() -> None:
    line = Line("a", "b")
    used: Counter[str] = Counter()
    for _ in range(400):
        tenant = line.next()
        seconds = 3.0 if tenant == "a" else 30.0
        used[tenant] += int(seconds)
        line.run(tenant, 30.0, took=seconds)
    assert abs(used["a"] - used["b"]) <= 60
    assert line.nearer[-1] == "a", "the queue was told"


def test_many_slots_are_shared_though_every_estimate_is_wrong() -> None:
    """All are estimated at 30 s; a's take a tenth of it, b's and c's thrice. Eight run at a time, for an hour."""
    rng = random.Random(5)
    line = Line("a", "b", "c", c=TenantSettings(weight=2.0))
    scale = {"a": 3.0, "b": 90.0, "c": 90.0}
    used = dict.fromkeys(scale, 0.0)
    running: list[tuple[float, str, float, Charge]] = []
    now = 0.0
    for _ in range(8):
        running.append(_begin(line, rng, scale, now))
    while now < 3600.0:
        running.sort(key=lambda run: run[0])
        now, tenant, seconds, charge = running.pop(0)
        used[tenant] += seconds
        line.share.settle(charge, seconds)
        running.append(_begin(line, rng, scale, now))
    assert used["a"] == pytest.approx(used["b"], rel=0.05)
    assert used["c"] == pytest.approx(2 * used["a"], rel=0.05)


def _begin(line: Line, rng: random.Random, scale: dict[str, float], now: float) -> tuple[float, str, float, Charge]:
    tenant = line.next()
    seconds = scale[tenant] * rng.uniform(0.5, 1.5)
    return now + seconds, tenant, seconds, line.start(tenant, 30.0)


def test_an_attempt_that_never_began_costs_nothing() -> None:
    line = Line("a", "b")
    line.run("a", 1000.0, took=0.0)
    assert line.starts(4) == "baba"


def test_who_waited_for_a_device_is_first_for_one_start_and_no_more() -> None:
    line = Line("a", "b")
    for _ in range(100):
        # What is free serves b only.
        line.run("b")
    assert line.next() == "a"
    line.run("a")
    line.come("c")
    assert line.starts(6) == "cbacba"


def test_a_small_repayment_of_one_far_behind_gives_back_no_more_than_itself() -> None:
    line = Line("a", "b")
    early = line.start("a", 2.0)
    for _ in range(100):
        line.run("b")
    line.share.settle(early, 1.0)
    assert line.starts(8) == "aabababa", "one for the turn that is its own, one for the second that it is owed"


def test_with_nothing_to_do_all_are_level_again_and_forgotten() -> None:
    line = Line("a")
    charge = line.start("a", 50.0, last=True)
    assert line.share.accounts
    line.share.settle(charge, 60.0)
    assert not line.share.accounts
    assert not line.share.clocks[NORMAL].flows


def test_tenants_that_come_and_go_are_forgotten_while_others_wait() -> None:
    line = Line("always")
    for number in range(3000):
        line.come(f"t{number}")
        line.share.settle(line.start(f"t{number}", 1.0, last=True), 1.0)
        line.run("always")
    assert len(line.share.accounts) < 150
    assert len(line.share.clocks[NORMAL].flows) < 150


def test_of_tenants_without_a_job_no_more_are_remembered_than_have_one() -> None:
    line = Line(*(f"always{number}" for number in range(100)))
    for number in range(100):
        # Their turns are a hundredth of a second apart from now on, and the clock goes on by that with each.
        line.run(f"always{number}", number / 100)
    remembered = []
    for number in range(1000):
        line.come(f"t{number}")
        line.share.settle(line.start(f"t{number}", 0.001, last=True), 0.001)
        line.run(line.next())
        remembered.append(len(line.share.clocks[NORMAL].flows) - 100)
    assert 90 < max(remembered) < 110


def test_a_tenant_with_debt_is_remembered_until_the_others_have_caught_up() -> None:
    line = Line("a", "b")
    line.share.settle(line.start("a", 100.0, last=True), 100.0)
    line.starts(50)
    line.come("a")
    assert "a" not in line.starts(50)
    assert line.starts(2) == "ab"


def test_a_tenant_that_was_away_for_longer_than_its_debt_gains_nothing_by_it() -> None:
    line = Line("a", "b")
    line.share.settle(line.start("a", 100.0, last=True), 100.0)
    line.starts(300)
    line.come("a")
    line.come("c")
    assert line.starts(9) == "cabcabcab", "it began at the clock as the newcomer did, which never started"


def test_limits_are_those_of_the_tenant_or_of_all_others() -> None:
    line = Line(a=TenantSettings(max_running=1, max_queued=2), **{"*": TenantSettings(max_queued=0)})
    share = line.share
    assert share.refusal("a") is None
    line.come("a")
    assert share.refusal("a", arriving=1) == (
        "tenant a has 2 jobs that wait, and may have 2 (max_queued): submit it again later"
    )
    line.come("a")
    assert share.refusal("a") is not None
    charge = line.start("a", last=True)
    assert share.refusal("a") is None
    account = line.flows["a"].account
    assert account.at_limit
    share.settle(charge, 1.0)
    assert not account.at_limit
    assert share.refusal("b") is not None, "nothing is taken of those that are not named"
    assert FairShare({}, 3, lambda flow: None).refusal("b", arriving=1_000_000) is None


def test_attempts_of_a_former_leader_count_and_cost_nothing() -> None:
    line = Line("a", "b", a=TenantSettings(max_running=1))
    charge = line.share.runs_already("a")
    assert line.flows["a"].account.at_limit
    line.share.settle(charge, 1000.0)
    assert line.starts(4) == "abab"


@pytest.mark.parametrize(
    ("need_mb", "at_once", "total_mb", "share"),
    [(6000, 1, 24_000, 0.25), (6000, 4, 24_000, 0.0625), (0, 1, 24_000, 0.01), (9, 1, 0, 1.0), (99, 1, 9, 1.0)],
)
def test_a_run_books_its_part_of_its_workers_memory(need_mb: int, at_once: int, total_mb: int, share: float) -> None:
    assert booked_share(need_mb, at_once, total_mb) == share
