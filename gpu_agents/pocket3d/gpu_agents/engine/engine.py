"""The agent's engine: everything that an agent decides, as one synchronous function of events and time.

`handle(event, now)` returns the effects that the service is to perform; what they lead to comes back as events. There
is no socket, file, clock or chance in it, so production, tests and simulation drive the very same engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pocket3d.contracts.clock import Now
from pocket3d.contracts.worker_frames import AdapterDescription

from ..devices.spec import DeviceSpec
from ..settings import AgentSettings
from . import (
    commands as engine_commands,
)
from . import (
    events,
)
from . import (
    operator as engine_control,
)
from . import (
    outbound as engine_reports,
)
from . import (
    results as engine_results,
)
from . import (
    runs as engine_runs,
)
from . import (
    timers as engine_time,
)
from . import (
    workers as engine_workers,
)
from .effects import Effect
from .invariants import check
from .records import RunMove
from .state import Core, Identity

Handler = Callable[[Core, Any, Now], None]


def _connected(core: Core, event: events.Connected, now: Now) -> None:
    core.connected = True
    core.max_payload = event.max_payload
    core.changed = core.adapters_changed = True
    core.outcomes_due.clear()
    core.outcomes_earliest = float("-inf")
    for run in core.runs.values():
        # The network's time is not the job's.
        if run.fetch_deadline is not None:
            run.fetch_deadline = now.mono + core.settings.fetch_s
        if run.upload_deadline is not None:
            run.upload_deadline = now.mono + core.settings.upload_s
        if run.retry_at is not None:
            engine_results.retry_now(core, run)


def _disconnected(core: Core, event: events.Disconnected, now: Now) -> None:
    core.connected = False


def _adapters_described(core: Core, event: events.AdaptersDescribed, now: Now) -> None:
    core.adapters = {adapter.adapter_id: adapter for adapter in event.adapters}
    if event.preferred is not None:
        core.preferred = {feature: list(ids) for feature, ids in event.preferred.items()}
    core.changed = core.adapters_changed = True


def _run_progressed(core: Core, event: events.RunProgressed, now: Now) -> None:
    run = core.runs.get(event.token)
    if run is not None and run.run_started is not None and run.on_device:
        engine_reports.progressed(core, run, event.fraction, event.stage, event.message, now)


def _probe_failed(core: Core, event: events.ProbeFailed, now: Now) -> None:
    core.probing = False


_HANDLERS: dict[type[Any], Handler] = {
    events.CommandReceived: engine_commands.command_received,
    events.CommandUnreadable: engine_commands.command_unreadable,
    events.Connected: _connected,
    events.Disconnected: _disconnected,
    events.OutcomesAnswered: lambda core, event, now: engine_reports.outcomes_answered(core, event.noted, now),
    events.OutcomesUnanswered: lambda core, event, now: engine_reports.outcomes_answered(core, (), now),
    events.StatusRequested: engine_control.status_requested,
    events.DrainRequested: engine_control.drain_requested,
    events.UndrainRequested: engine_control.undrain_requested,
    events.LoadRequested: engine_control.load_requested,
    events.UnloadRequested: engine_control.unload_requested,
    events.ProbeRead: engine_workers.probe_read,
    events.ProbeFailed: _probe_failed,
    events.AdaptersDescribed: _adapters_described,
    events.WorkerReady: engine_workers.worker_ready,
    events.ModelLoaded: engine_workers.model_loaded,
    events.LoadFailed: engine_workers.load_failed,
    events.WorkerExited: engine_workers.worker_exited,
    events.InputsFetched: engine_runs.inputs_fetched,
    events.InputsFailed: engine_runs.inputs_failed,
    events.RunProgressed: _run_progressed,
    events.RunFinished: engine_results.run_finished,
    events.RunFailed: engine_runs.run_failed,
    events.OutputsUploaded: engine_results.outputs_uploaded,
    events.UploadFailed: engine_results.upload_failed,
    events.ResultStored: lambda core, event, now: engine_results.result_stored(core, event.token, now),
    events.ResultConflict: lambda core, event, now: engine_results.result_conflict(core, event.token, now),
    events.ResultUnknown: lambda core, event, now: engine_results.result_unknown(core, event.token, now),
    events.ResultRead: engine_results.result_read,
    events.ResultRefused: engine_results.result_refused,
    events.TaskFailed: engine_results.task_failed,
    events.Tick: lambda core, event, now: engine_time.tick(core, now),
}


class AgentEngine:
    """Decides for one agent.

    Args:
        settings: what can be set.
        identity: who this agent is.
        devices: the devices it owns.
        adapters: the adapters it knows from the start; more may come with `AdaptersDescribed`.
        preferred: feature -> adapter ids, best first.
    """

    def __init__(
        self,
        settings: AgentSettings,
        identity: Identity,
        devices: Sequence[DeviceSpec],
        adapters: Sequence[AdapterDescription] = (),
        preferred: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        #: For the parts of the engine, and for tests that look at what it knows. Not to be changed from outside.
        self.core = Core(settings, identity, devices, adapters, preferred)

    def handle(self, event: events.Event, now: Now) -> list[Effect]:
        """Take in what happened; returns what is to be done about it.

        Raises:
            InvalidTransition: the engine was about to break its own tables: a bug.
        """
        core = self.core
        core.moves.clear()
        engine_time.on_clock_gap(core, now)
        _HANDLERS[type(event)](core, event, now)
        engine_workers.reconcile(core, now)
        engine_runs.begin_fetches(core, now)
        engine_results.begin_uploads(core, now)
        engine_results.begin_stores(core, now)
        engine_reports.send_outcomes_if_due(core, now)
        engine_time.probe_if_due(core, now)
        engine_reports.publish_advert_if_due(core, now)
        engine_control.exit_if_left(core, now)
        wanted, core.effects = core.effects, []
        return wanted

    @property
    def moves(self) -> list[RunMove]:
        """Steps that runs made while the last event was handled; valid until the next one."""
        return self.core.moves

    def next_deadline(self, now: Now) -> float:
        """Monotonic time at which the next `Tick` should come, at the latest; it may lie in the past."""
        return engine_time.next_deadline(self.core, now)

    def check(self) -> None:
        """Raises `AssertionError` if an invariant is broken. For tests and the simulation."""
        check(self.core)
