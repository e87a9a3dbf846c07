"""What the service asks of the processes and the devices: two small protocols, each with a real and a simulated form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pocket3d.contracts.worker_frames import CancelRun, RunJob

from .effects import HowToStop, StartWorker
from .events import DeviceReading, Event

#: Takes an event of a worker, on the event loop's thread. It does not block.
EventSink = Callable[[Event], None]


class WorkerHost(Protocol):
    """The worker processes of one agent. What happens to them goes to the `EventSink` given to `open`."""

    def open(self, sink: EventSink) -> None:
        """Called once, before anything else."""

    async def start(self, request: StartWorker) -> None:
        """Start a process. Its story (`WorkerReady` ... `WorkerExited`, or `WorkerStartFailed`) goes to the sink; this
        returns when the process is spawned and does not raise for what is wrong with it.
        """

    def send(self, worker_id: str, frame: RunJob | CancelRun) -> None:
        """Queue a frame; of an unknown or dead worker: nothing (its exit is, or will be, in the sink)."""

    def stop(self, worker_id: str, how: HowToStop) -> None:
        """Ask it to end, or signal its process group; of an unknown or dead worker: nothing."""

    async def close(self) -> None:
        """Kill and reap whatever is left. Returns when no process is left."""


class Probe(Protocol):
    """Measures the devices with `DeviceFacts.measured`."""

    def read(self) -> Sequence[DeviceReading]:
        """Measure now. Blocking: the service calls it in a thread.

        Raises:
            OSError: nothing can be measured now.
        """

    def close(self) -> None:
        """Let go of the driver."""
