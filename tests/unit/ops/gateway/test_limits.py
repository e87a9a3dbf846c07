"""Token buckets and bounded places, in time that is given."""

from __future__ import annotations

from pocket3d.ops.gateway.limits import Places, RateLimits


def test_a_burst_then_a_rate() -> None:
    limits = RateLimits(burst=3, per_s=2)
    assert [limits.ask("a", 10.0) for _ in range(3)] == [0, 0, 0]
    assert limits.ask("a", 10.0) == 0.5
    assert limits.ask("a", 10.25) == 0.25
    assert limits.ask("a", 10.5) == 0
    assert limits.ask("a", 10.5) == 0.5
    assert limits.ask("b", 10.5) == 0, "one caller's haste is not another's"
    assert [limits.ask("a", 1000.0) for _ in range(4)] == [0, 0, 0, 0.5], "no more than a burst is saved up"


def test_a_clock_that_stands_or_goes_back_gives_nothing() -> None:
    limits = RateLimits(burst=1, per_s=1)
    assert limits.ask("a", 10.0) == 0
    assert limits.ask("a", 5.0) == 1.0
    assert limits.ask("a", 5.0) == 1.0


def test_places_are_bounded_together_and_for_each() -> None:
    places = Places(most=3, most_of_one=2)
    assert [places.take("a"), places.take("a"), places.take("a")] == [True, True, False]
    assert [places.take("b"), places.take("c")] == [True, False]
    places.give_back("a")
    assert (places.full, places.total) == (False, 2)
    assert [places.take("c"), places.total, places.full] == [True, 3, True]


def test_a_caller_gets_back_as_many_places_as_it_gave_back() -> None:
    places = Places(most=9, most_of_one=3)
    assert [places.take("a") for _ in range(4)] == [True, True, True, False]
    places.give_back("a")
    assert [places.take("a"), places.take("a")] == [True, False]
    for _ in range(3):
        places.give_back("a")
    assert (places.total, [places.take("a") for _ in range(4)]) == (0, [True, True, True, False])


def test_the_caller_who_asked_longest_ago_is_forgotten_first() -> None:
    limits = RateLimits(burst=1, per_s=0.001)
    for number in range(10_000):
        limits.ask(str(number), 0.0)
    assert limits.ask("0", 0.0) > 0
    limits.ask("one more", 0.0)
    assert limits.ask("0", 0.0) > 0, "it asked since"
    assert limits.ask("1", 0.0) == 0, "with a full bucket"
