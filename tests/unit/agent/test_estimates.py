"""What is learned of runs: by adapter, device and variant, and by the size of the inputs."""

from __future__ import annotations

import pytest

from pocket3d.gpu_agents.placement.estimates import Estimates, Key

KEY: Key = ("alpha", "cpu-0", None)


def test_nothing_is_expected_of_what_never_ran() -> None:
    fresh = Estimates(5)
    assert (fresh.load_s(*KEY), fresh.run_s(*KEY), fresh.peak_mb(*KEY)) == (None, None, None)
    assert (fresh.sized_run_s(KEY, "1MiB"), fresh.sized_peak_mb(KEY, "1MiB")) == (None, None)
    assert fresh.requirement_mb("alpha", "cpu-0", 0, 8000) == 0
    assert fresh.cpu_requirement_mb(KEY, None, 0, 8000) == fresh.cpu_requirement_mb(KEY, "1MiB", 0, 8000) == 0


def test_times_are_medians_of_the_last_ones_and_memory_is_the_most_of_them() -> None:
    learned = Estimates(3)
    for run_s, mb in ((900.0, 9000), (1.0, 100), (3.0, 300), (2.0, 200)):
        learned.note_run(KEY, "1MiB", run_s)
        learned.note_peak(KEY, "1MiB", mb)
        learned.loads[KEY].append(10 * run_s)
    assert (learned.load_s(*KEY), learned.run_s(*KEY), learned.peak_mb(*KEY)) == (20.0, 2.0, 300)
    assert (learned.sized_run_s(KEY, "1MiB"), learned.sized_peak_mb(KEY, "1MiB")) == (2.0, 300)


def test_each_variant_device_and_size_has_its_own() -> None:
    learned = Estimates(3)
    learned.note_run(KEY, "1MiB", 5.0)
    learned.note_peak(KEY, "1MiB", 500)
    for other in (("beta", "cpu-0", None), ("alpha", "cpu-1", None), ("alpha", "cpu-0", "512")):
        assert (learned.run_s(*other), learned.peak_mb(*other)) == (None, None)
        assert (learned.sized_run_s(other, "1MiB"), learned.sized_peak_mb(other, "1MiB")) == (None, None)
    assert (learned.sized_run_s(KEY, "8MiB"), learned.sized_peak_mb(KEY, "8MiB")) == (None, None)
    assert (learned.sized_run_s(KEY, None), learned.sized_peak_mb(KEY, None)) == (None, None)


def test_a_size_that_this_version_does_not_know_is_none() -> None:
    learned = Estimates(3)
    learned.note_run(KEY, "of a later version", 5.0)
    learned.note_peak(KEY, "of a later version", 500)
    assert learned.sized_run_s(KEY, None) == learned.sized_run_s(KEY, "another one") == 5.0
    assert learned.sized_peak_mb(KEY, None) == 500


@pytest.mark.parametrize(
    ("size_class", "declared_mb", "promised_mb"),
    [
        ("64KiB", 100, 110),
        ("1MiB", 100, 3300),
        ("8MiB", 100, 100),
        (None, 100, 3300),
        ("1MiB", 4000, 4000),
        ("64MiB", 100, 8000),
        ("64MiB", 9000, 9000),
    ],
    ids=["small", "large", "none yet", "of any size", "declared more", "all of the lane", "declared more than that"],
)
def test_a_job_on_the_cpu_lane_is_promised_what_jobs_of_its_size_took(
    size_class: str | None, declared_mb: int, promised_mb: int
) -> None:
    learned = Estimates(5)
    for measured, mb in (("64KiB", 100), ("64KiB", 90), ("1MiB", 3000), ("1MiB", 2000)):
        learned.note_peak(KEY, measured, mb)
    if size_class == "64MiB":
        learned.note_peak(KEY, "64MiB", 7500)
    assert learned.cpu_requirement_mb(KEY, size_class, declared_mb, 8000) == promised_mb
