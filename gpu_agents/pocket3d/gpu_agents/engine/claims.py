"""What a loaded worker is promised of its device, by what its runs were measured to need."""

from __future__ import annotations

from pocket3d.contracts.clock import Now
from pocket3d.contracts.variants import Choice, variant_named
from pocket3d.contracts.worker_frames import AdapterDescription

from ..placement.placement import requirement_mb
from .records import Run, Worker
from .state import Core


def lower_claim(core: Core, run: Run) -> None:
    """Take back from the worker of a run on a GPU what its adapter was learned not to need. The run has it alone."""
    worker = run.worker
    adapter = core.adapters.get(worker.adapter_id)
    if adapter is None or core.device_of(worker).spec.kind == "cpu":
        return
    needed = _needed_mb(core, worker, adapter, None)
    if needed < worker.resident_mb and not run.extra_mb:
        _promise(core, worker, needed)


def settle_claim(core: Core, worker: Worker, now: Now) -> None:
    """Promise an idle worker on the CPU lane what a job of the size that it ran last needs, or what it holds where that
    is more: an allocator does not give all back. It gets more than it has only where there is room.

    So the lane is not promised to others while a worker holds it, and the next job of that size claims nothing anew.
    """
    adapter, ledger = core.adapters.get(worker.adapter_id), core.device_of(worker).ledger
    if core.device_of(worker).spec.kind != "cpu" or adapter is None or worker.held_mb is None:
        return
    own_mb = adapter.idle_vram_mb
    wanted = max(_needed_mb(core, worker, adapter, worker.ran_class) if own_mb is None else own_mb, worker.held_mb)
    most = worker.resident_mb + max(0, ledger.room(now.mono).available_mb)
    if wanted > most:
        wanted = max(worker.resident_mb, min(worker.held_mb, most))
    if wanted != worker.resident_mb:
        _promise(core, worker, wanted)


def _needed_mb(core: Core, worker: Worker, adapter: AdapterDescription, size_class: str | None) -> int:
    variant = variant_named(adapter.variants, worker.variant)
    declared_mb = adapter.vram_mb if variant is None else variant.vram_mb
    choice = Choice(worker.variant, 0, declared_mb)
    return requirement_mb(core.device_of(worker), worker.adapter_id, choice, core.estimates, size_class)


def _promise(core: Core, worker: Worker, mb: int) -> None:
    worker.resident_mb = mb
    core.device_of(worker).ledger.promise(worker.worker_id, mb)
    core.changed = True
