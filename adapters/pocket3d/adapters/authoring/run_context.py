"""What belongs to one request: its folder, its progress, its cancel flag.

It travels in a context variable, which tasks inherit and `BaseModel` copies into its threads, so that several requests
can run in one model at once without seeing each other.
"""

from __future__ import annotations

import contextvars
import math
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import JobCancelled

#: (fraction 0..1 or None, stage, message)
ProgressSink = Callable[["float | None", "str | None", "str | None"], None]


class RunContext:
    """One request while it runs.

    Args:
        output_dir: where its files go; None for a fresh temporary folder, made at first use.
        on_progress: takes (fraction, stage, message); called from any thread.
        job_id: for logs.
        published_inputs: the inputs as the producer published them, where files are references; None when they do
            not differ from what the adapter gets.
    """

    def __init__(
        self,
        *,
        output_dir: Path | None = None,
        on_progress: ProgressSink | None = None,
        job_id: str | None = None,
        published_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.job_id = job_id
        self.published_inputs = published_inputs
        #: MB, as the adapter told by `report_vram_peak`.
        self.vram_peak_mb: int | None = None
        self._output_dir = output_dir
        self._on_progress = on_progress
        #: True once somebody asked for the end.
        self.cancelled = False
        self._waiters: set[Callable[[], None]] = set()
        self._lock = threading.Lock()

    @property
    def output_dir(self) -> Path:
        """The folder for this request's files; exists."""
        with self._lock:
            if self._output_dir is None:
                self._output_dir = Path(tempfile.mkdtemp(prefix="pocket3d-"))
            return self._output_dir

    def cancel(self) -> None:
        """Cancel the request: `check` raises from now on. Thread-safe, may be called twice."""
        with self._lock:
            self.cancelled = True
            waiters, self._waiters = self._waiters, set()
        for wake in waiters:
            wake()

    def on_cancel(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake()` called at the cancel (at once if that was before); returns what takes it back."""
        with self._lock:
            if not self.cancelled:
                self._waiters.add(wake)
                return lambda: self._waiters.discard(wake)
        wake()
        return lambda: None

    def check(self) -> None:
        """Refuse to go on with a cancelled request.

        Raises:
            JobCancelled: somebody asked for the end.
        """
        if self.cancelled:
            raise JobCancelled("the job was cancelled")

    def progress(self, fraction: float | None, stage: str | None, message: str | None) -> None:
        """Tell how far the request is; `fraction` is clipped to 0..1."""
        if self._on_progress is None:
            return
        if fraction is not None:
            fraction = float(fraction)
            fraction = None if math.isnan(fraction) else min(max(fraction, 0.0), 1.0)
        self._on_progress(fraction, None if stage is None else str(stage), None if message is None else str(message))


#: The request that runs in this task or thread.
current_run: contextvars.ContextVar[RunContext | None] = contextvars.ContextVar("pocket3d_run", default=None)
