"""The file of a lock: what is written is read again, and what is no lock is refused."""

from __future__ import annotations

import pytest
from msgspec import structs

from pocket3d.ops.installer.locks import Lock, read_lock

LOCK = Lock(
    recipe="cat",
    python="3.11",
    machine="x86_64",
    date="2026-11-29",
    packages={"torch": "2.6.0+cu124", "numpy": "1.26.4"},
    unresolved=("torch-scatter==2.1.2",),
    download_mb=4200,
)


@pytest.mark.parametrize(
    "lock", [LOCK, structs.replace(LOCK, unresolved=(), download_mb=None), structs.replace(LOCK, packages={})]
)
def test_what_is_written_is_read_again(lock: Lock) -> None:
    assert read_lock("cat", lock.text()) == lock


def test_the_file_is_one_of_constraints_sorted_by_name() -> None:
    lines = LOCK.text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["numpy==1.26.4", "torch==2.6.0+cu124"]
    assert "# download: 4200 MB in 2 packages" in lines
    assert not any("download" in line for line in structs.replace(LOCK, download_mb=None).text().splitlines())
    assert LOCK.text().endswith("0+cu124\n")


@pytest.mark.parametrize(
    ("python", "machine", "fits"),
    [("3.11", "x86_64", True), ("3.12", "x86_64", False), ("3.11", "aarch64", False), (None, "x86_64", False)],
)
def test_a_lock_is_for_one_python_on_one_machine(python: str | None, machine: str, fits: bool) -> None:
    assert LOCK.fits(python, machine) is fits


@pytest.mark.parametrize(
    ("text", "why"),
    [("numpy==1.26.4\n", "for which Python"), (LOCK.text() + "numpy>=1\n", "no `name==version`"), ("", "Python")],
)
def test_what_is_no_lock_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_lock("cat", text)
