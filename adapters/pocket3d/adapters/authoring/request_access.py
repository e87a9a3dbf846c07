"""What an adapter may ask for while a request runs: its folder, its device, progress, cancelling."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..runtime.process_device import process_device
from .run_context import RunContext, current_run


class RequestAccess:
    """The part of `BaseModel` that belongs to the running request; methods work in threads of the adapter, too."""

    def __init__(self) -> None:
        self._device: str | None = None
        self._active: list[RunContext] = []
        #: Stands for the request where none runs: nobody hears its progress or cancels it.
        self._idle_run = RunContext()
        self._state_lock = threading.Lock()

    @property
    def device(self) -> str:
        """`cuda` or `cpu`: what the model may use. An adapter may set it (`cuda:0`)."""
        return process_device() if self._device is None else self._device

    @device.setter
    def device(self, value: str) -> None:
        self._device = value

    @property
    def output_dir(self) -> Path:
        """The folder of this request's files; outside a request a fresh temporary folder of this object."""
        return self._run().output_dir

    @property
    def published_inputs(self) -> dict[str, Any] | None:
        """The inputs as published, with references in place of local files; None where they are the same."""
        published = self._run().published_inputs
        return None if published is None else copy.deepcopy(dict(published))

    def report_progress(
        self, fraction: float | None = None, stage: str | None = None, message: str | None = None
    ) -> None:
        """Tell how far this request is (0..1, None for unknown). Cheap: at most 10 a second leave the process."""
        self._run().progress(fraction, stage, message)

    def step(self, fraction: float | None, stage: str, message: str | None = None) -> None:
        """Begin a step: end here if the job was cancelled, else tell how far it is (0..1, None for unknown)
        and what comes now.

        Raises:
            JobCancelled: somebody asked for the end of this job.
        """
        self.check_cancelled()
        self.report_progress(fraction, stage, message)

    def steps_within(self, low: float, high: float) -> Callable[[float, str], None]:
        """`step` for a part of the work, whose fractions of 0..1 lie between `low` and `high` of the whole."""
        return lambda fraction, stage: self.step(low + (high - low) * fraction, stage)

    def check_cancelled(self) -> None:
        """To be called between steps.

        Raises:
            JobCancelled: somebody asked for the end of this job.
        """
        self._run().check()

    async def sleep(self, seconds: float) -> None:
        """`asyncio.sleep` that a cancel ends.

        Raises:
            JobCancelled: somebody asked for the end of this job.
        """
        run = self._run()
        run.check()
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            # The loop may have ended between the cancel and now.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(woken.set)

        forget = run.on_cancel(wake)
        try:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(woken.wait(), seconds)
        finally:
            forget()
        run.check()

    def report_vram_peak(self, megabytes: float) -> None:
        """Tell this request's peak where the framework cannot know it (memory outside torch). The highest counts."""
        run = self._run()
        run.vram_peak_mb = max(run.vram_peak_mb or 0, math.ceil(megabytes))

    def _run(self) -> RunContext:
        run = current_run.get()
        if run is not None:
            return run
        # A thread that the model itself started has no context; while one request runs it can only be that one's.
        active = self._active
        return active[0] if len(active) == 1 else self._idle_run
