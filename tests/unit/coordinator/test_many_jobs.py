"""What many waiting jobs cost: memory for each, and questions that do not grow with them."""

from __future__ import annotations

import gc
import tracemalloc

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.jobs import admit
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from pocket3d.coordinator.leadership.request_cache import RequestCache
from pocket3d.coordinator.leadership.term_engine import TermEngine
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble

NOW = Now(1000.0, 1_795_001_000.0)


class Crowd:
    """A leader whose jobs all wait."""

    def __init__(self) -> None:
        record = LeaderRecord(coordinator_id="one", epoch=7)
        self.decider = TermEngine(CoordinatorSettings(), record, 5, 1 << 20)
        self.seq = 0
        self.do(events.Led(7, ()))
        for key in ("results", "high", "normal", "low"):
            self.do(events.BacklogCounted(key, 0))

    def do(self, event: events.BusEvent) -> None:
        """Handle it, and let the server store all first events."""
        asked = self.decider.handle(event, NOW)
        while asked:
            effect = asked.pop()
            if isinstance(effect, effects.PublishQueued):
                asked += self.decider.handle(events.QueuedStored(effect.status.job_id), NOW)
            elif isinstance(effect, effects.PublishQueuedBatch):
                asked += self.decider.handle(events.QueuedBatchStored(effect), NOW)

    def grow(self, jobs: int) -> None:
        for _ in range(jobs):
            self.seq += 1
            data = b'{"job_id":"job-%d","inputs":{"n":1}}' % self.seq
            admission = admit("echo", data, None, "-")
            self.do(events.JobRead(self.seq, "normal", "echo", admission, NOW.wall, data))


def test_a_waiting_job_takes_about_half_a_kilobyte() -> None:
    crowd = Crowd()
    # The cache of requests is bounded, and not what grows.
    crowd.decider._cache = RequestCache(0)
    crowd.grow(1000)
    gc.collect()
    tracemalloc.start()
    crowd.grow(8000)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 8000 < 500


def test_a_question_counts_no_hundred_thousand_jobs_ahead() -> None:
    crowd = Crowd()
    # It is called, and does not answer.
    crowd.do(events.AdvertReceived(AgentDouble().advert()))
    crowd.grow(5100)
    engine = crowd.decider.engine
    for seq, words in ((1, "0 like it"), (4000, "3999 like it"), (5100, "over 5000 like it")):
        record = engine.record(f"job-{seq}")
        assert record is not None
        assert words in explain(engine.core, record, NOW).summary
