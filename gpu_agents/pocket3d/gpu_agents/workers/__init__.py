"""Worker processes: one per loaded adapter and device."""

from .host import WorkerHost
from .launch import WorkerExit, WorkerLaunch

__all__ = ["WorkerHost", "WorkerExit", "WorkerLaunch"]
