"""What many waiting jobs cost: memory for each, and questions that do not grow with them."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from pocket3d.contracts.clock import Now
from pocket3d.contracts.codec import encode
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.contracts.jobs import admit
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.explain import explain
from pocket3d.coordinator.leadership import bus_answers
from pocket3d.coordinator.leadership.request_cache import RequestCache
from pocket3d.coordinator.leadership.term_engine import TermEngine
from pocket3d.coordinator.settings import CoordinatorSettings
from support.coordinator_desk import AgentDouble, offer

NOW = Now(1000.0, 1_795_001_000.0)


class Crowd:
    """A leader whose jobs all wait."""

    def __init__(self) -> None:
        record = LeaderRecord(coordinator_id="one", epoch=7)
        self.decider = TermEngine(CoordinatorSettings(), record, 5, 1 << 20)
        self.seq = 0
        self.do(events.Led(7, ()))
        for key in ("results", "high", "normal", "low"):
            self.do(bus_answers.BacklogCounted(key, 0))

    def do(self, event: bus_answers.BusAnswer) -> None:
        """Handle it, and let the server store all first events."""
        asked = self.decider.handle(event, NOW)
        while asked:
            effect = asked.pop()
            if isinstance(effect, effects.PublishQueued):
                asked += self.decider.handle(events.QueuedStored(effect.status.job_id), NOW)
            elif isinstance(effect, effects.PublishQueuedBatch):
                asked += self.decider.handle(bus_answers.QueuedBatchStored(effect), NOW)

    def grow(self, jobs: int, **more: Any) -> None:
        for _ in range(jobs):
            self.seq += 1
            data = encode({"job_id": f"job-{self.seq}", "inputs": {"n": 1}, **more})
            admission = admit("echo", data, None, "-")
            self.do(events.JobRead(self.seq, "normal", "echo", admission, NOW.wall, data))


def test_a_waiting_job_takes_about_half_a_kilobyte() -> None:
    crowd = Crowd()
    # The cache of requests is bounded, and not what grows.
    crowd.decider._cache = RequestCache(0)
    crowd.grow(1000)
    gc.collect()
    tracemalloc.start()
    crowd.grow(4000)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / 4000 < 500


def test_of_very_many_that_expire_at_once_each_step_ends_some() -> None:
    """A step of a second would be taken for a pause of the process, and an urgent job would wait for it."""
    crowd = Crowd()
    crowd.grow(2500, limits={"schedule_to_start_s": 5})
    ended = []
    for tick in range(1, 25):
        now = Now(NOW.mono + 0.25 * tick, NOW.wall + 0.25 * tick)
        made = crowd.decider.handle(events.Tick(), now)
        ended.append(sum(isinstance(effect, effects.StoreResult) for effect in made))
    assert [number for number in ended if number] == [1000, 1000, 500]


def test_of_very_many_whose_adapter_is_broken_each_step_ends_some() -> None:
    crowd = Crowd()
    agent = AgentDouble(adapters=[offer(available=False, reason="no such module")])
    ended = []
    for tick in range(25):
        now = Now(NOW.mono + tick, NOW.wall + tick)
        crowd.decider.handle(events.AdvertReceived(agent.advert()), now)
        if tick == 0:
            crowd.grow(2500)
        for quarter in range(4):
            made = crowd.decider.handle(events.Tick(), Now(now.mono + quarter / 4, now.wall + quarter / 4))
            ended.append(sum(isinstance(effect, effects.StoreResult) for effect in made))
    assert [number for number in ended if number] == [1000, 1000, 500]


def test_a_question_counts_no_hundred_thousand_jobs_ahead() -> None:
    crowd = Crowd()
    # It is called, and does not answer.
    crowd.do(events.AdvertReceived(AgentDouble().advert()))
    crowd.grow(5100)
    engine = crowd.decider.engine
    for seq, words in ((1, "no job like it"), (4000, "3999 jobs like it"), (5100, "5000 or more jobs like it")):
        record = engine.record(f"job-{seq}")
        assert record is not None
        assert words in explain(engine.core, record, NOW).summary
