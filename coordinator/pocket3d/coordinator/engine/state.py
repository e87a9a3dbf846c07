"""What all parts of the engine share: its state, and the few moves that more than one part makes."""

from __future__ import annotations

import math

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.commands import Cancel
from pocket3d.contracts.lifecycle import PRIORITIES, JobState, Priority
from pocket3d.contracts.messages import Result

from ..auction.fleet import AgentView, Fleet
from ..auction.queue import WaitingQueue
from ..auction.rounds import Auctioneer
from ..settings import CoordinatorSettings
from .deadlines import Deadlines
from .effects import AckJob, AskState, Effect, PublishEvent, ReadCached, ReadJobs, ReadResult, SendCancels
from .events import JobRead, LastEventRead
from .held_jobs import HeldJobs
from .intake import Intake
from .job import JobClass, JobRecord
from .job_index import JobIndex
from .job_list import JobList
from .result_cache import Made, ResultCache

#: Jobs that are ended in one step.
MOST_AT_ONCE = 1000
#: Job classes held before those without a job are looked for.
_CLASSES_KEPT = 1024


class Core:
    """State of the coordinator's engine. Handlers change it and add to `effects`."""

    def __init__(self, settings: CoordinatorSettings) -> None:
        self.settings = settings
        self.effects: list[Effect] = []
        self.jobs: dict[str, JobRecord] = {}
        self.index = JobIndex()
        self.queue = WaitingQueue(settings.ageing_s, settings.tenants)
        self.fleet = Fleet(settings)
        self.auctioneer = Auctioneer(settings, self.queue, self.fleet)
        self._classes: dict[JobClass, JobClass] = {}
        self._classes_cap = _CLASSES_KEPT
        self.deadlines = Deadlines()
        #: Until when the attempt of a job must have ended.
        self.attempt_deadlines = Deadlines()
        #: Results of jobs that are not (yet) in `jobs`: job id -> (result, its sequence).
        self.early_results: dict[str, tuple[Result, int]] = {}
        #: Waiting jobs of a feature that nobody has advertised yet.
        self.unknown_feature_jobs: dict[str, None] = {}
        #: Bytes in the results stream that are no result and are being deleted: their sequence -> what is wrong.
        self.unreadable_results: dict[int, str] = {}
        #: Further messages with the id of a job, until it is known which message is the job, and that the jobs stream
        #: still holds it: seq -> message.
        self.duplicate_submissions: dict[str, dict[int, JobRead]] = {}
        #: All further messages of known ids that were read and have not left the stream: seq -> priority.
        self.second_publishes: dict[int, Priority] = {}
        #: Jobs of a former leader's time that are to be cancelled as soon as they are read again, and why.
        self.cancels_to_come: dict[str, str] = {}
        #: Stories without an end, until it is known whether the jobs stream still holds their message.
        self.story_doubts: dict[str, LastEventRead] = {}
        #: Jobs that are not in `jobs` and whose stories are read to be ended: why they are to be cancelled, if asked.
        self.stories_asked: dict[str, str | None] = {}
        #: Of this leadership.
        self.epoch: int
        self._tokens = 0
        #: Since when the fleet has been watched without a break: from the takeover, a pause or a reconnect on,
        #: monotonic seconds. Silence counts from then.
        self.watching_since: float
        #: Wall clock less monotonic clock when the lead was taken: what the wall clock jumps later is nobody's age.
        self.wall_offset_s: float
        self.leading = False
        self.connected = True
        self.proven = True
        self.results_drained = False
        self.jobs_indexed = False
        #: Sequence in the jobs stream up to which jobs of a priority were read.
        self.read_up_to = dict.fromkeys(PRIORITIES, 0)
        self.agents_to_hear: set[str] = set()
        #: Monotonic seconds; before there is one, nothing is late.
        self.last_tick = math.inf
        self.intake = Intake(settings.index_cap)
        self.job_list = JobList()
        self.held = HeldJobs()
        self.cache = ResultCache(settings.cache_age_s)
        self._on_move = self._moved

    # -- small things

    def do(self, effect: Effect) -> None:
        """Ask for something to be done."""
        self.effects.append(effect)

    def ask_state(self, view: AgentView, now: Now) -> None:
        """Ask an agent what it runs; how long it takes to answer says how long its bids will take."""
        view.asked_at = now.mono
        view.answer_times.asked(now.mono)
        self.do(AskState(view.agent_id))

    def token(self) -> str:
        """A new fence token, `<epoch>-<n>`."""
        self._tokens += 1
        return f"{self.epoch}-{self._tokens}"

    def intern(self, job_class: JobClass) -> JobClass:
        """The one object for equal classes. Those that no job has any more are forgotten now and then."""
        if len(self._classes) > self._classes_cap:
            self._classes = {record.job_class: record.job_class for record in self.jobs.values()}
            self._classes_cap = max(_CLASSES_KEPT, 2 * len(self._classes))
        return self._classes.setdefault(job_class, job_class)

    @property
    def may_decide(self) -> bool:
        """True while this coordinator certainly leads and can act: awards and endings need it."""
        return self.leading and self.connected and self.proven

    @property
    def may_award(self) -> bool:
        """True once the recovery has heard what is running."""
        return self.may_decide and self.results_drained and not self.agents_to_hear

    def identity_pending(self, record: JobRecord) -> bool:
        """True while it is not known whether this message is the job of its id or a second publish of one."""
        if record.ending is not None or record.recovery is not None:
            return False
        return record.state in (JobState.SUBMITTED, JobState.RECOVERING)

    # -- jobs come and go

    def add(self, record: JobRecord) -> None:
        """Hold a job that was read."""
        self.jobs[record.job_id] = record
        self.job_list.add(record)
        self.held.appeared(record.job_id)
        self.intake.added(record.job_class.priority, known=record.state is not JobState.SUBMITTED)
        record.on_move = self._on_move
        self._read_on(record.job_class.priority)

    def remove(self, record: JobRecord) -> None:
        """Forget a job, and what was asked about its story before it ended."""
        del self.jobs[record.job_id]
        self.story_doubts.pop(record.job_id, None)
        self.stories_asked.pop(record.job_id, None)
        self.job_list.remove(record)
        self.held.forget(record.job_id)
        self.cache.forget(record.job_id)
        self._look_for_result(record.job_id)
        priority = record.job_class.priority
        if record.state is JobState.SUBMITTED:
            self.intake.known(priority)
        self.intake.removed(priority)
        self._read_on(priority)

    def count_second(self, priority: Priority, seq: int) -> None:
        """A message with the id of a known job was read. Of those in the stream only so many are read."""
        if seq not in self.second_publishes:
            self.second_publishes[seq] = priority
            self.intake.count_repeated(priority, 1)
            self._read_on(priority)

    def ack_second(self, priority: Priority, seq: int, job_id: str) -> None:
        """Take a message off the stream that is not the job whose id it has."""
        self.count_second(priority, seq)
        self.do(AckJob(priority, seq, second_of=job_id))

    def settle_second(self, seq: int) -> None:
        """It has left the stream, or is the job after all."""
        priority = self.second_publishes.pop(seq, None)
        if priority is not None:
            self.intake.count_repeated(priority, -1)
            self._read_on(priority)

    def _moved(self, record: JobRecord, former: JobState) -> None:
        self.job_list.moved(record, former)
        if former is JobState.SUBMITTED:
            self.intake.known(record.job_class.priority)
            self._read_on(record.job_class.priority)
        if record.state is JobState.FINISHED:
            self._look_for_result(record.job_id)

    def _look_for_result(self, job_id: str) -> None:
        """Read the result of a job, where others wait for it."""
        if self.held.awaited(job_id):
            self.do(ReadResult(job_id))

    def _read_on(self, priority: Priority) -> None:
        more = self.intake.change(priority)
        if more is not None:
            self.do(ReadJobs(more, priority))

    # -- moves

    def enqueue(self, record: JobRecord, why: str, now: Now, *, returned: bool, queued_at: float | None = None) -> None:
        """Let a job wait for an award, or first for the results of other jobs that its inputs name."""
        record.move(JobState.QUEUED, why)
        record.queued_at = now.mono if queued_at is None else queued_at
        sources = self.held.hold(record.job_id, record.job_class.tenant)
        if not sources:
            self._await_award(record, now, returned=returned)
        for source in sources:
            known = self.jobs.get(source)
            if known is None or known.state is JobState.FINISHED:
                self._look_for_result(source)
            else:
                self.held.note_wait(record.job_id)

    def release(self, record: JobRecord, now: Now) -> None:
        """All files that a held job needs are there: its wait for an award begins."""
        self.held.leave(record.job_id)
        if self.held.waited(record.job_id):
            record.queued_at = now.mono
        self._await_award(record, now, returned=False)

    def _await_award(self, record: JobRecord, now: Now, *, returned: bool) -> None:
        cached = self._find_cached(record, now)
        if cached is not None:
            job_id, made = cached
            self.held.hold_for_cache(record.job_id, record.job_class.tenant, job_id)
            self.do(ReadCached(record.job_id, job_id, made))
            return
        limit = record.job_class.limits.schedule_to_start_s
        if limit is not None:
            # Counted from now, never from the submission: an outage must not fail a whole queue at once.
            self.deadlines.set(record.job_id, now.mono + limit)
        self.queue.add(record, now.mono, returned=returned)
        if not self.fleet.knows_feature(record.job_class.canonical):
            self.unknown_feature_jobs[record.job_id] = None

    def _find_cached(self, record: JobRecord, now: Now) -> tuple[str, Made] | None:
        """The ended job that made what this one asks for, by an adapter on which it may run and that is offered now in
        the same version.
        """
        content = self.cache.take_wish(record.job_id)
        if content is None or record.attempt_no > 0:
            return None
        key, group = content.key(self.held.files(record.job_id)), record.group_key()
        found: dict[str, tuple[str, Made]] = {}
        for view in self.fleet.agents.values():
            for offer in view.serving(group):
                made = Made(key, offer.adapter_id, offer.version)
                job_id = self.cache.find(made, now.mono) if offer.available else None
                if job_id is not None:
                    found[offer.adapter_id] = job_id, made
        order = group.preferred if group.preferred is not None else sorted(found)
        return next((found[adapter_id] for adapter_id in order if adapter_id in found), None)

    def leave_queue(self, record: JobRecord) -> None:
        """It no longer waits."""
        if self.held.leave(record.job_id):
            return
        self.queue.remove(record)
        self.auctioneer.backfill.release_job(record.job_id)
        self.deadlines.forget(record.job_id)
        self.unknown_feature_jobs.pop(record.job_id, None)

    def overdue(self, now_mono: float) -> list[JobRecord]:
        """Waiting jobs past their schedule-to-start limit; of very many some, for all else waits meanwhile."""
        return [self.jobs[job_id] for job_id in self.deadlines.passed(now_mono, MOST_AT_ONCE)]

    def book_attempt(self, record: JobRecord, now: Now) -> None:
        """Book the record's new attempt on its agent, and note when it must have ended."""
        if record.attempt is not None:
            limits = record.job_class.limits
            most_s = limits.load_s + limits.start_to_close_s + self.settings.attempt_grace_s
            self.attempt_deadlines.set(record.job_id, now.mono + most_s)
            self.fleet.book(record.attempt, record.job_id)

    def drop_attempt(self, record: JobRecord, now: Now, *, began: bool = True) -> None:
        """The attempt is over, whatever became of it. One that never `began` costs its tenant nothing."""
        attempt = record.attempt
        if attempt is not None:
            self.attempt_deadlines.forget(record.job_id)
            self.fleet.release(attempt)
            if attempt.charge is not None:
                self.queue.share.settle(attempt.charge, max(0.0, now.mono - attempt.awarded_at) if began else 0.0)
            record.attempt = None
            self.index.file(record)

    def answered(self, record: JobRecord, seq: int) -> None:
        """Its agent has said, with that `seq`, that it has the attempt."""
        if record.attempt is not None:
            record.attempt.answer_seq = seq
            record.attempt.unanswered = False
            self.index.file(record)

    def cancel_attempt(self, record: JobRecord, reason: str, now: Now) -> None:
        """Ask the agent to stop what it runs for this job, and wait for that only so long."""
        if record.attempt is not None:
            record.attempt.cancel_by = now.mono + self.settings.cancel_wait_s
            self.index.file(record)
            self.stop_attempt(record, reason)

    def decided(self, record: JobRecord) -> None:
        """What became of it is known: nothing is asked or waits any more."""
        record.recovery = None
        record.ending = None
        self.index.file(record)

    def stop_attempt(self, record: JobRecord, reason: str) -> None:
        """Ask the agent to stop what it runs for this job."""
        attempt = record.attempt
        if attempt is not None:
            cancel = Cancel(job_id=record.job_id, token=attempt.token, reason=reason)
            self.do(SendCancels(attempt.agent_id, (cancel,)))

    def publish_started(self, record: JobRecord, now: Now) -> None:
        """Publish `started`, once per attempt."""
        if not record.started_published:
            record.started_published = True
            self.do(PublishEvent("started", record.status("running", rfc3339(now.wall)), record.seq))
