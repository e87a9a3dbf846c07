"""What the processes of a bench use."""

from __future__ import annotations

import asyncio
import time

import psutil


def rss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def cpu_seconds(processes: list[psutil.Process]) -> dict[int, float]:
    return {process.pid: sum(process.cpu_times()[:2]) for process in processes}


async def until_at_rest(timeout: float = 30.0) -> None:
    """Until all that this process has started together uses under 5 % of a core."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        processes = psutil.Process().children(recursive=True)
        before = cpu_seconds(processes)
        await asyncio.sleep(0.5)
        if sum(cpu_seconds(processes).values()) - sum(before.values()) < 0.025:
            return
    raise TimeoutError(f"the processes of the bench are not at rest after {timeout:.0f} s")
