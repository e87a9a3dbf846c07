"""The coordinator's engine: one synchronous step from an event to effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pocket3d.contracts.clock import Now
from pocket3d.contracts.jobs import Job

from ..settings import CoordinatorSettings
from . import admission as intake
from . import agents as watch
from . import attempts, awards, completion, events, invariants, recovery, removal, source_results
from .content import content_of
from .effects import Again, AwardItem, Effect, ReadEnded, SendCall
from .job import JobRecord
from .result_cache import Made
from .state import Core


def _call_returned(core: Core, event: events.CallReturned, now: Now) -> None:
    core.auctioneer.take(event.answer, now.mono)


def _results_drained(core: Core, event: events.ResultsDrained, now: Now) -> None:
    core.results_drained = True


def _jobs_indexed(core: Core, event: events.JobsIndexed, now: Now) -> None:
    core.jobs_indexed = True
    wishes, core.cancels_to_come = core.cancels_to_come, {}
    for job_id, reason in wishes.items():
        # Its message was not in the stream: what is left is its story.
        removal.cancel_asked(core, events.CancelAsked(job_id, reason), now)
    core.do(ReadEnded(None))


def _ended_jobs_read(core: Core, event: events.EndedJobsRead, now: Now) -> None:
    """Bit by bit, so that nothing waits for it: until it is done, those that are missing are read when asked for."""
    removal.read_stories(core, event.unfinished)
    if core.job_list.read(event.jobs, event.below, event.down_to):
        core.do(Again(ReadEnded(event.down_to)))


def _result_read(core: Core, event: events.ResultRead, now: Now) -> None:
    recovery.result_read(core, event, now)
    source_results.source_read(core, event, now)


def _result_deleted(core: Core, event: events.ResultDeleted, now: Now) -> None:
    completion.result_deleted(core, event, now)
    source_results.source_deleted(core, event, now)


def _round_due(core: Core, event: events.RoundDue, now: Now) -> None:
    """What is to be done follows every event."""


_HANDLERS: dict[type, Callable[[Core, Any, Now], None]] = {
    events.Led: watch.became_leader,
    events.ResultsDrained: _results_drained,
    events.JobsIndexed: _jobs_indexed,
    events.EndedJobsRead: _ended_jobs_read,
    events.LeadershipProven: watch.leadership_proven,
    events.ProposalsWanted: watch.proposals_wanted,
    events.JobRead: intake.job_read,
    events.QueuedStored: intake.queued_stored,
    events.QueuedConflict: recovery.queued_in_doubt,
    events.QueuedUnknown: recovery.queued_in_doubt,
    events.LastEventRead: recovery.last_event_read,
    events.AdvertReceived: watch.advert_received,
    events.AgentSilent: watch.agent_silent,
    events.CallReturned: _call_returned,
    events.AwardsReturned: awards.awards_returned,
    events.AwardsRefused: awards.awards_refused,
    events.AwardsUnanswered: awards.awards_unanswered,
    events.BodyGone: awards.body_gone,
    events.AwardTooLarge: awards.award_too_large,
    events.CallTooLarge: awards.call_too_large,
    events.OutcomesReturned: attempts.outcomes_returned,
    events.ResultSeen: completion.result_seen,
    events.ResultRead: _result_read,
    events.CachedRead: source_results.cached_read,
    events.ResultConflict: completion.result_in_doubt,
    events.ResultUnknown: completion.result_in_doubt,
    events.ResultUnreadable: completion.result_unreadable,
    events.ResultDeleted: _result_deleted,
    events.EventsStored: completion.events_stored,
    events.DeadStored: completion.dead_stored,
    events.JobAcked: completion.job_acked,
    events.MessagesLooked: removal.messages_looked,
    events.StoriesListed: removal.stories_listed,
    events.CancelAsked: removal.cancel_asked,
    events.Connected: watch.connected,
    events.Disconnected: watch.disconnected,
    events.RoundDue: _round_due,
    events.Tick: watch.tick,
}


class CoordinatorEngine:
    """Decides. Knows nothing of NATS, clocks or tasks; one instance per leadership.

    Args:
        settings: read once at the edge.
    """

    def __init__(self, settings: CoordinatorSettings) -> None:
        self.core = Core(settings)

    def handle(self, event: events.Event, now: Now) -> list[Effect]:
        """Take in one event; what is to be done about it, in order.

        Raises:
            InvalidTransition: a job was about to make a move that its lifecycle lacks.
        """
        core = self.core
        core.effects = []
        watch.on_clock_gap(core, now)
        _HANDLERS[type(event)](core, event, now)
        source_results.end_rings(core, now)
        self._auction(now)
        effects, core.effects = core.effects, []
        return effects

    def leads(self, now: Now) -> bool:
        """True while this coordinator certainly leads; false after a pause, also one that it has not noticed yet."""
        return self.core.may_decide and not watch.clock_gap(self.core, now)

    def _auction(self, now: Now) -> None:
        """Close the open round if it is due, and open the next if something could be placed."""
        core = self.core
        auctioneer = core.auctioneer
        if not core.may_award:
            return
        if auctioneer.due(now.mono):
            awards.send_awards(core, auctioneer.close(now.mono), now)
        for assignments in auctioneer.place_late(now.mono):
            awards.send_awards(core, assignments, now)
        awards.send_awards(core, auctioneer.award_from_cache(now.mono), now)
        for invitation in auctioneer.open(now.mono):
            wait_s = core.settings.variant_wait_s
            core.do(SendCall(invitation.agent_id, auctioneer.call_id, invitation.lots, wait_s))

    def note_award(self, item: AwardItem, job: Job) -> None:
        """An award goes out with its request, whose content is known now."""
        core = self.core
        record = core.jobs.get(item.job_id)
        if record is None or record.attempt is None or record.attempt.token != item.token:
            return
        content = content_of(item.feature, job) if item.version else None
        if content is not None:
            made = Made(content.key(core.held.files(item.job_id)), item.adapter_id, item.version)
            core.cache.awarded(item.job_id, item.token, made)

    # -- questions of the service

    @property
    def deadline(self) -> float | None:
        """When the open round must be closed, monotonic seconds; None while nothing may be awarded: it stays open until
        something may be again.
        """
        call = self.core.auctioneer.round
        return call.deadline if call is not None and self.core.may_award else None

    def record(self, job_id: str) -> JobRecord | None:
        """An unfinished job."""
        return self.core.jobs.get(job_id)

    def history_of(self, event: object) -> str:
        """The latest moves of the job that an event is about; empty if it is about none."""
        job_id = getattr(event, "job_id", None)
        record = self.core.jobs.get(job_id) if isinstance(job_id, str) else None
        return f"job {record.job_id}: {'; '.join(record.history or ('none',))}" if record is not None else ""

    def check(self) -> None:
        """Verify what must hold between any two events; for tests and the simulation.

        Raises:
            AssertionError: it does not.
        """
        invariants.check(self.core)
