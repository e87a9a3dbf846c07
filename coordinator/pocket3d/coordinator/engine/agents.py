"""Agents as the engine watches them: adverts, silence, lost agents; and the passage of time."""

from __future__ import annotations

from pocket3d.contracts.clock import Now, rfc3339
from pocket3d.contracts.commands import Cancel
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.lifecycle import JobState

from ..auction.fleet import AgentView
from .attempts import end_overlong, ended, heard_again, take_over_attempt, verify_lost
from .completion import decide_deferred, end_broken, end_slow_cancels, expire_overdue, finish
from .effects import AskState, ForgetAgent, ProveLeadership, RecordAgent, SendCancels
from .events import AdvertReceived, AgentSilent, Connected, Disconnected, LeadershipProven, Led, ProposalsWanted, Tick
from .recovery import look_for_recovering
from .removal import end_waiting
from .source_results import look_for_unknown
from .state import Core

#: A second question about a silent agent follows the first after this many seconds.
_SECOND_QUESTION_S = 0.5


def advert_received(core: Core, event: AdvertReceived, now: Now) -> None:
    """Take in an advert: the agent lives, and its lists settle what was unknown."""
    advert = event.advert
    composition = core.fleet.composition
    asked = core.fleet.agents.get(advert.agent_id)
    if asked is not None and event.answers_question:
        # Also of an answer that a later advert overtook.
        asked.asked = False
    updated = core.fleet.update(advert, now.mono)
    if updated is None:
        return
    view, restarted = updated
    if event.answers_question:
        view.answer_times.answered(core.watching_since if view.asked_at is None else view.asked_at, now.mono)
    core.agents_to_hear.discard(view.agent_id)
    if not core.leading:
        return
    if core.fleet.composition != composition:
        core.do(RecordAgent(core.fleet.record(view, rfc3339(now.wall))))
        for job_id in list(core.unknown_feature_jobs):
            if core.fleet.knows_feature(core.jobs[job_id].job_class.canonical):
                core.unknown_feature_jobs.pop(job_id)
    if restarted:
        core.auctioneer.drop_agent(view.agent_id)
        large = len(core.fleet.agents) > core.settings.invite_all_up_to
        if advert.adapters is None or (large and not event.answers_question):
            # Its first, full advert was missed: without the adapters it could not be invited for 10 s. And of a large
            # fleet those are invited that are known to answer.
            core.ask_state(view, now)
    _compare(core, view, event.answers_question, now)
    if core.index.recovering:
        look_for_recovering(core, now)


def _compare(core: Core, view: AgentView, answered: bool, now: Now) -> None:
    """Compare what the agent lists with what was awarded to it."""
    advert = view.advert
    pending = set(advert.outcomes)
    for token, booking in list(view.attempts.items()):
        record = core.jobs.get(booking.job_id)
        attempt = record.attempt if record is not None else None
        if record is None or attempt is None or attempt.token != token:
            view.attempts.pop(token, None)
            continue
        if attempt.incarnation != advert.incarnation:
            # Another life of the agent: what the former one ran is lost (unless its result got through).
            verify_lost(core, record)
        elif token in view.listed:
            if attempt.answer_seq is None:
                core.answered(record, advert.seq)
        elif token in pending or advert.unlisted:
            # It may be one that did not fit into the advert. Such an agent takes no jobs, so all fit again soon.
            continue
        elif (attempt.answer_seq is not None and advert.seq > attempt.answer_seq) or (
            attempt.answer_seq is None and attempt.unanswered and answered
        ):
            verify_lost(core, record)
    unknown_attempts: list[Cancel] = []
    for running in advert.running:
        record = core.jobs.get(running.job_id)
        if record is not None and record.attempt is not None and record.attempt.token == running.token:
            heard_again(core, record, view)
            continue
        if record is None:
            # Before the index is complete the job may simply not have been read yet.
            if core.jobs_indexed and running.on_device and running.token in view.unknown_attempts:
                unknown_attempts.append(Cancel(job_id=running.job_id, token=running.token, reason="the job has ended"))
            elif core.jobs_indexed:
                view.unknown_attempts.add(running.token)
            continue
        if ended(record, running.token):
            # Listed until the answer to its failure arrives.
            continue
        if record.state is JobState.QUEUED and not record.cancel_wanted:
            take_over_attempt(core, record, view, running, now)
        elif record.state in (JobState.AWARDED, JobState.RUNNING, JobState.QUEUED) and running.on_device:
            unknown_attempts.append(Cancel(job_id=running.job_id, token=running.token, reason="awarded to another"))
    view.unknown_attempts &= view.listed
    if unknown_attempts:
        core.do(SendCancels(view.agent_id, tuple(unknown_attempts)))


def agent_silent(core: Core, event: AgentSilent, now: Now) -> None:
    """Note an agent that did not answer; two "no responders" in a short time mean that it is not connected at all."""
    view = core.fleet.agents.get(event.agent_id)
    if event.no_responders:
        core.agents_to_hear.discard(event.agent_id)
    if view is None:
        if event.no_responders:
            core.do(ForgetAgent(event.agent_id))
        return
    view.asked = False
    if not event.no_responders:
        return
    view.answer_times.unreachable(now.mono)
    within = core.settings.no_responders_within_s
    view.no_responder_times = [t for t in view.no_responder_times if now.mono - t <= within]
    view.no_responder_times.append(now.mono)
    if len(view.no_responder_times) >= 2 and core.may_decide:
        lose_agent(core, view, now)


def lose_agent(core: Core, view: AgentView, now: Now) -> None:
    """Give up an agent: what it ran goes on elsewhere, once its results have been looked for."""
    core.fleet.lose(view.agent_id)
    core.auctioneer.drop_agent(view.agent_id)
    core.do(ForgetAgent(view.agent_id))
    for booking in view.attempts.values():
        record = core.jobs.get(booking.job_id)
        if record is not None and record.attempt is not None and record.attempt.agent_id == view.agent_id:
            verify_lost(core, record)


def became_leader(core: Core, event: Led, now: Now) -> None:
    """Begin to lead: ask the agents that the former leader knew what they run."""
    core.epoch = event.epoch
    core.auctioneer.max_payload = event.max_payload
    core.leading = True
    core.watching_since = now.mono
    core.wall_offset_s = now.wall - now.mono
    core.last_tick = now.mono
    for known in event.known:
        core.fleet.remember_features(known.features)
        core.agents_to_hear.add(known.agent_id)
    for agent_id in core.fleet.agents:
        core.agents_to_hear.add(agent_id)
    for agent_id in sorted(core.agents_to_hear):
        core.do(AskState(agent_id))


def connected(core: Core, event: Connected, now: Now) -> None:
    """Go on after a reconnect: no agent counts as late, and the lease is renewed before anything is decided."""
    core.connected = True
    if event.max_payload is not None:
        core.auctioneer.max_payload = event.max_payload
    core.watching_since = now.mono
    core.fleet.begin_leases_again(now.mono)
    core.auctioneer.unavailable.begin_waits_again(now.mono)
    if core.leading:
        core.proven = False
        core.do(ProveLeadership())


def disconnected(core: Core, event: Disconnected, now: Now) -> None:
    """Stop awarding; nothing is held against the agents meanwhile."""
    core.connected = False
    core.auctioneer.abandon()


def leadership_proven(core: Core, event: LeadershipProven, now: Now) -> None:
    """Let decisions go on: the lease was renewed."""
    core.proven = True
    if core.may_decide:
        decide_deferred(core, now)


def proposals_wanted(core: Core, event: ProposalsWanted, now: Now) -> None:
    """Give nothing more to agents that could not store what they compute."""
    core.fleet.want_proposals()


def clock_gap(core: Core, now: Now) -> bool:
    """True when the last tick is so long ago that this process must have been paused."""
    return now.mono - core.last_tick > 2 * core.settings.tick_s


def on_clock_gap(core: Core, now: Now) -> None:
    """Expire nothing after a pause: leases begin again, and the leadership is proven before anything is decided.
    Asked before every event: what was waiting in the sockets may come before the late tick.
    """
    if not clock_gap(core, now):
        return
    pause_s = now.mono - core.last_tick
    core.last_tick = core.watching_since = now.mono
    core.fleet.begin_leases_again(now.mono)
    core.auctioneer.unavailable.begin_waits_again(now.mono)
    core.deadlines.postpone(pause_s)
    core.held.unknown.postpone(pause_s)
    core.attempt_deadlines.postpone(pause_s)
    core.auctioneer.abandon()
    if core.leading:
        core.proven = False
        core.do(ProveLeadership())


def tick(core: Core, event: Tick, now: Now) -> None:
    """Do what is due at a tick."""
    core.last_tick = now.mono
    settings = core.settings
    if not core.leading or not core.connected:
        return
    if core.agents_to_hear and now.mono >= core.watching_since + settings.recovery_answers_s:
        core.agents_to_hear.clear()
    core.queue.release_due(now.mono)
    core.fleet.release_benches(now.mono)
    _question_the_silent(core, now)
    if core.index.unanswered:
        _ask_about_awards(core, now)
    if core.index.recovering:
        look_for_recovering(core, now)
    if not core.may_decide:
        return
    end_waiting(core, now)
    expire_overdue(core, now)
    end_slow_cancels(core, now)
    end_overlong(core, now)
    end_broken(core, now)
    look_for_unknown(core, now)
    _reject_unknown_features(core, now)


def _question_the_silent(core: Core, now: Now) -> None:
    settings = core.settings
    for view in list(core.fleet.agents.values()):
        silent_s = now.mono - view.last_seen
        if silent_s >= settings.agent_lease_s:
            if core.may_decide:
                lose_agent(core, view, now)
        elif silent_s > 2 * settings.advert_s and not view.asked:
            if view.no_responder_times and now.mono - view.no_responder_times[-1] < _SECOND_QUESTION_S:
                continue
            view.asked = True
            core.ask_state(view, now)


def _ask_about_awards(core: Core, now: Now) -> None:
    """Repeat the question after an unanswered award, which may get lost too, until the agent has said what it runs."""
    for record in core.index.unanswered.values():
        view = core.fleet.agents.get(record.attempt.agent_id) if record.attempt is not None else None
        if view is not None and (view.asked_at is None or now.mono - view.asked_at >= core.settings.advert_s):
            core.ask_state(view, now)


def _reject_unknown_features(core: Core, now: Now) -> None:
    """Reject jobs of features that nobody serves; only a leader that has heard the fleet for a while may say so."""
    if not core.unknown_feature_jobs or now.mono < core.watching_since + 3 * core.settings.advert_s:
        return
    for job_id in list(core.unknown_feature_jobs):
        record = core.jobs[job_id]
        feature = record.job_class.feature
        known = ", ".join(sorted(core.fleet.features)) or "none"
        text = f"nobody serves the feature {feature!r}; features that agents serve: {known}"
        finish(core, record, "rejected", FailureCode.UNKNOWN_FEATURE, text, now, field="subject")
