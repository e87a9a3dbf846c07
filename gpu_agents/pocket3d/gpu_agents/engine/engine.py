"""The agent's engine: everything that an agent decides, as one synchronous function of events and time.

`handle(event, now)` returns the effects that the service is to perform; what they lead to comes back as events. There
is no socket, file, clock or chance in it, so production, tests and simulation drive the very same engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pocket3d.contracts.clock import Now

from ..devices.spec import DeviceSpec
from ..settings import AgentSettings
from . import commands, events, intake, operator, outbound, results, runs, storage, timers, workers
from .effects import Effect
from .invariants import check
from .state import Core, Identity

Handler = Callable[[Core, Any, Now], None]


def _connected(core: Core, event: events.Connected, now: Now) -> None:
    core.connected = True
    core.max_payload = event.max_payload
    core.changed = core.adapters_changed = True
    core.outcomes_due.clear()
    core.outcomes_earliest = float("-inf")
    storage.look_again(core, now)
    for run in core.runs.values():
        # The network's time is not the job's.
        if run.fetch_deadline is not None:
            run.fetch_deadline = now.mono + core.settings.fetch_s
        if run.upload_deadline is not None:
            run.upload_deadline = now.mono + core.settings.upload_s
        if run.retry_at is not None:
            results.retry_now(core, run)


def _disconnected(core: Core, event: events.Disconnected, now: Now) -> None:
    core.connected = False


def _adapters_described(core: Core, event: events.AdaptersDescribed, now: Now) -> None:
    core.adapters = {adapter.adapter_id: adapter for adapter in event.adapters}
    if event.preferred is not None:
        core.preferred = {feature: list(ids) for feature, ids in event.preferred.items()}
    core.changed = core.adapters_changed = True


_HANDLERS: dict[type[events.Event], Handler] = {
    events.CommandReceived: commands.command_received,
    events.CommandUnreadable: commands.command_unreadable,
    events.Connected: _connected,
    events.Disconnected: _disconnected,
    events.StorageChecked: storage.storage_checked,
    events.OutcomesAnswered: outbound.outcomes_answered,
    events.StatusRequested: operator.status_requested,
    events.DrainRequested: operator.drain_requested,
    events.UndrainRequested: operator.undrain_requested,
    events.LoadRequested: operator.load_requested,
    events.UnloadRequested: operator.unload_requested,
    events.ProbeRead: workers.probe_read,
    events.AdaptersDescribed: _adapters_described,
    events.WorkerReady: workers.worker_ready,
    events.ModelLoaded: workers.model_loaded,
    events.WorkerHolds: lambda core, event, now: workers.worker_holds(core, event),
    events.LoadFailed: workers.load_failed,
    events.WorkerExited: workers.worker_exited,
    events.InputsFetched: runs.inputs_fetched,
    events.InputsFailed: runs.inputs_failed,
    events.RunProgressed: outbound.run_progressed,
    events.RunFinished: results.run_finished,
    events.RunFailed: runs.run_failed,
    events.OutputsUploaded: results.outputs_uploaded,
    events.UploadFailed: results.upload_failed,
    events.ResultStored: results.result_stored,
    events.ResultConflict: results.result_conflict,
    events.ResultUnknown: results.result_unknown,
    events.ResultRead: results.result_read,
    events.ResultRefused: results.result_refused,
    events.TaskFailed: results.task_failed,
    events.Tick: lambda core, event, now: timers.tick(core, now),
}


class AgentEngine:
    """Decides for one agent.

    Args:
        settings: what can be set.
        identity: who this agent is.
        devices: the devices it owns.
    """

    def __init__(self, settings: AgentSettings, identity: Identity, devices: Sequence[DeviceSpec]) -> None:
        #: For the parts of the engine, and for tests that look at what it knows. Not to be changed from outside.
        self.core = Core(settings, identity, devices)
        #: Steps that runs made while the last event was handled; valid until the next one.
        self.moves = self.core.moves

    def handle(self, event: events.Event, now: Now) -> list[Effect]:
        """Take in what happened; returns what is to be done about it.

        Raises:
            InvalidTransition: the engine was about to break its own tables: a bug.
        """
        core = self.core
        core.moves.clear()
        timers.on_clock_gap(core, now)
        _HANDLERS[type(event)](core, event, now)
        workers.reconcile(core, now)
        if core.fetches.waiting:
            runs.begin_fetches(core, now)
        if core.uploads.waiting:
            results.begin_uploads(core, now)
        if core.stores.waiting:
            results.begin_stores(core, now)
        storage.check_if_due(core, now)
        intake.note_backlog(core)
        outbound.send_outcomes_if_due(core, now)
        timers.probe_if_due(core, now)
        outbound.publish_advert_if_due(core, now)
        if core.leaving:
            operator.exit_if_left(core, now)
        wanted, core.effects = core.effects, []
        return wanted

    def next_deadline(self, now: Now) -> float:
        """Monotonic time at which the next `Tick` should come, at the latest; it may lie in the past."""
        return timers.next_deadline(self.core, now)

    def check(self) -> None:
        """Raises `AssertionError` if an invariant is broken. For tests and the simulation."""
        check(self.core)
