"""What can be set about an agent. Durations are seconds, memory MB."""

from __future__ import annotations

import re

import msgspec


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read once at the edge; the engine never looks elsewhere."""

    #: Where this host is, as a code of ISO 3166-1 such as DE: adapters whose licences exclude it are not available.
    #: None: nobody said, and no licence is judged by it.
    territory: str | None = None
    #: Labels in the adverts.
    labels: dict[str, str] = {}
    #: Bucket for this agent's outputs; None for the namespace's own. For fleets whose hosts do not trust each other.
    outputs_bucket: str | None = None
    #: Larger input files are refused.
    max_input_mb: int = 2048
    #: A job whose output files are larger, each or all together, fails as `invalid_output`.
    max_output_mb: int = 2048
    #: Period of the engine's tick; one that comes after twice this is late and expires nothing.
    tick_s: float = 1.0
    #: Period of the adverts (they are the lease), the least time between two, and how often the adapters are in them.
    advert_s: float = 1.0
    advert_gap_s: float = 0.02
    adapters_s: float = 10.0
    #: From asking a run to stop until SIGTERM, and from SIGTERM (or the frame that ends an idle worker) until SIGKILL.
    cancel_grace_s: float = 5.0
    stop_grace_s: float = 5.0
    #: A worker is killed when it and its children hold more of the host's memory than this; None for nine tenths of
    #: what the machine, or the container, has.
    worker_memory_mb: int | None = None
    #: Torch refuses a worker more of its GPU than the worker was promised: one that would take more fails by itself,
    #: and not its neighbour.
    cap_gpu_memory: bool = False
    #: A worker that nobody has used for so long is stopped.
    idle_timeout_s: float = 600.0
    #: Draining: running jobs may take so long, and so long when the agent is told to leave (SIGTERM).
    drain_timeout_s: float = 300.0
    leave_timeout_s: float = 50.0
    #: A leaving agent waits so long for results to be stored and ends to be noted once nothing runs on its devices.
    #: With the time for running jobs it is less than the 90 s after which systemd kills.
    leave_bound_s: float = 30.0
    #: Fetching a job's inputs, and storing its outputs while connected, may take so long.
    fetch_s: float = 600.0
    upload_s: float = 600.0
    #: A job waits so long for the memory of evicted workers; then it is handed back.
    room_wait_s: float = 30.0
    #: The claim of a worker that is gone is kept until a probe has seen its memory free, at most so long.
    release_wait_s: float = 10.0
    #: A device on which so many jobs of several adapters failed in a row, as on a broken device, gets none for a while:
    #: the first pause, and the longest.
    quarantine_after: int = 3
    quarantine_s: float = 30.0
    quarantine_cap_s: float = 1800.0
    #: A reading older than this is none: the device offers nothing.
    reading_s: float = 10.0
    #: Period of the probe while somebody waits for memory.
    fast_probe_s: float = 0.1
    #: Effects in flight.
    max_fetches: int = 8
    max_uploads: int = 4
    max_stores: int = 64
    #: No job is taken while more finished runs wait than so many times `max_uploads` (those with files) or
    #: `max_stores`, until half of them are stored.
    backlog_factor: int = 4
    #: Files and results of a job are stored before those of the next lower priority that waited up to so much longer.
    priority_ahead_s: float = 30.0
    #: Finished runs that an advert lists beside those on the devices; the others are counted.
    finished_in_adverts: int = 256
    outcomes_per_report: int = 100
    #: Pause before an outcome is reported again, before an upload is tried again, and the longest pause before a
    #: result is tried again (the first is a tenth of a second, then twice as long each time).
    outcome_retry_s: float = 1.0
    upload_retry_s: float = 1.0
    store_retry_s: float = 2.0
    #: Least time between two progress messages of one run.
    progress_gap_s: float = 0.1
    #: Estimates: how many loads and runs are remembered, and what is assumed where there is no history.
    history: int = 15
    #: A requirement that an adapter declares is lowered towards what was measured after so many measured runs of it on
    #: a device (at most `history`); None for never.
    lower_after_runs: int | None = 10
    assumed_load_s: float = 20.0
    assumed_run_s: float = 30.0
    #: Answers to awards that are remembered, so that a repeated award gets the same answer.
    answers_kept: int = 4096

    def __post_init__(self) -> None:
        if self.territory is not None and not re.fullmatch("[A-Z]{2}", self.territory):
            raise ValueError(f"territory {self.territory!r}: want a country's code of ISO 3166-1 such as DE")
