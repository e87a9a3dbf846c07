"""What a ledger offers is what is free, whatever workers do and whatever their driver tells."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocket3d.gpu_agents.devices.probes.port import Reading
from pocket3d.gpu_agents.placement.ledger import DeviceLedger
from support.agent_rig import gpu

TOTAL, BUFFER = 48_000, 1000
#: Processes of others, and the first of the workers: far from one another, and from the numbers of children.
OTHERS, FIRST_PID = 9, 1000


@dataclass
class Worker:
    key: str
    pid: int
    claim_mb: int
    used_mb: int = 0


class Machine:
    """A device as it really is, a driver that tells of it in one way or another, and the ledger."""

    def __init__(self, driver: str) -> None:
        self.driver = driver
        self.book = DeviceLedger(gpu(TOTAL, buffer_mb=BUFFER), 10.0, 1000.0)
        self.workers: list[Worker] = []
        self.foreign_mb = 0
        self.now = 0.0
        self.read()

    @property
    def free_mb(self) -> int:
        return TOTAL - self.foreign_mb - sum(worker.used_mb for worker in self.workers)

    def read(self) -> list[str]:
        self.now += 1.0
        pids: dict[int, int] | None = {OTHERS: self.foreign_mb}
        parents: dict[int, int] = {}
        for worker in self.workers:
            if self.driver == "nothing":
                pids = None
                if worker.key in self.book._claims and worker.key not in self.book.ending():
                    self.book.hold_reported(worker.key, worker.used_mb)
            elif worker.used_mb and pids is not None:
                # Half of it in a child of a child, or all of it in the worker.
                child = worker.pid * 100 + 1
                halves = self.driver == "children"
                pids[worker.pid] = worker.used_mb - (worker.used_mb // 2 if halves else 0)
                if halves:
                    pids[child] = worker.used_mb // 2
                    parents |= {child: worker.pid * 10, worker.pid * 10: worker.pid, worker.pid: 1}
        return self.book.read(Reading(self.free_mb, pids, parents=parents), self.now)

    def start(self, claim_mb: int) -> None:
        if self.book.room(self.now).available_mb >= claim_mb:
            number = len(self.workers) + FIRST_PID
            while any(worker.pid == number for worker in self.workers):
                number += 1
            worker = Worker(f"w{self.now}", number, claim_mb)
            self.book.add(worker.key, claim_mb)
            self.book.hold_process(worker.key, worker.pid)
            self.workers.append(worker)
            self.read()

    def use(self, which: int, share: float) -> None:
        if self.workers:
            worker = self.workers[which % len(self.workers)]
            worker.used_mb = round(worker.claim_mb * share)
            self.read()

    def stop(self, which: int) -> None:
        """Told to end; it frees its memory, and exits."""
        if self.workers:
            worker = self.workers[which % len(self.workers)]
            self.book.end(worker.key)
            worker.used_mb //= 2
            self.read()
            worker.used_mb = 0
            self.book.exited(worker.key, self.now)
            self.workers.remove(worker)
            assert self.read() == [worker.key], "its memory is seen free at once"

    def others(self, mb: int) -> None:
        self.foreign_mb = min(mb, self.free_mb + self.foreign_mb)
        self.read()

    def check(self) -> None:
        self.book.check()
        promised = sum(worker.claim_mb for worker in self.workers)
        assert self.book.committed_mb() == promised
        assert self.book.room(self.now).available_mb == TOTAL - self.foreign_mb - promised - BUFFER


ACTIONS = st.one_of(
    st.tuples(st.just("start"), st.integers(1000, 20_000)),
    st.tuples(st.just("use"), st.integers(0, 9), st.floats(0.0, 1.0)),
    st.tuples(st.just("stop"), st.integers(0, 9)),
    st.tuples(st.just("others"), st.integers(0, 12_000)),
)


@pytest.mark.parametrize("driver", ["processes", "children", "nothing"])
@given(actions=st.lists(ACTIONS, max_size=30))
@settings(max_examples=60, deadline=None)
def test_what_is_offered_is_what_is_free(driver: str, actions: list[tuple[str, int]]) -> None:
    machine = Machine(driver)
    machine.check()
    for name, *arguments in actions:
        getattr(machine, name)(*arguments)
        machine.check()
