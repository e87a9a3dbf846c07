"""The check kit: one adapter against its contract, in a worker process as agents start it, without NATS.

    from pocket3d.adapters.check import check_adapter

    def test_it_keeps_the_contract(tmp_path):
        report = check_adapter("my_model.adapter.MyModelAdapter", work_dir=tmp_path)
        assert report.ok, report.text()

`pocket3d adapters check NAME` does the same for people. What it finds: `failed` breaks the contract, `note` is worth
knowing, `skipped` could not be tried.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pocket3d.contracts.worker_frames import AdapterSpec

from .base import BaseModel, kebab
from .kit.checked_process import ProcessError
from .kit.contract_checks import Check, CheckPlan, run

__all__ = ["Check", "Report", "check_adapter", "check_spec"]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of all checks of one adapter, in the order in which they were made."""

    adapter_id: str
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """True if nothing failed."""
        return all(check.level != "failed" for check in self.checks)

    def text(self) -> str:
        """The report as a table for people."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = [f"{self.adapter_id}:"]
        for check in self.checks:
            first, *rest = check.text.splitlines() or [""]
            lines.append(f"{check.level:<7}  {check.name:<{width}}  {first}")
            lines += [f"{'':<7}  {'':<{width}}  {line}" for line in rest]
            if check.advice:
                lines.append(f"{'':<7}  {'':<{width}}  -> {check.advice}")
        return "\n".join(lines)


def check_adapter(
    adapter: type[BaseModel] | str,
    *,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    feature: str | None = None,
    path: Sequence[str | Path] = (),
    device: str | None = None,
    variant: str | None = None,
    work_dir: Path | None = None,
    load_timeout_s: float = 900.0,
    run_timeout_s: float = 3600.0,
    cancel_patience_s: float = 30.0,
) -> Report:
    """Check an adapter's class with this interpreter.

    Args:
        adapter: the class, or `module.Class` (`module:Class`), importable from `sys.path` or `path`.
        config: arguments of its constructor.
        inputs: of the requests, local paths for files; they stand beside or instead of the kit's samples, and one
            that is None takes a sample away.
        feature: what it is to serve, if not what the class says.
        path: further import folders.
        device: `cuda` or `cpu`; None for what it runs on and this machine has.
        variant: which of its variants; None for the best.
        work_dir: an empty folder for its files, kept; None for a temporary one.
        load_timeout_s: for each of the two loads.
        run_timeout_s: for each request.
        cancel_patience_s: how long after a cancel its end is awaited.

    Raises:
        ValueError: the class cannot be imported by another process, or the text is no `module.Class`.
    """
    if isinstance(adapter, type):
        class_path = f"{adapter.__module__}.{adapter.__qualname__}"
        if adapter.__module__ == "__main__" or "<locals>" in adapter.__qualname__:
            raise ValueError(
                f"{adapter.__qualname__} of {adapter.__module__} cannot be imported by a worker process: put the class "
                "at the top level of a module that can be imported"
            )
    else:
        class_path = adapter.replace(":", ".")
    if not all(part.isidentifier() for part in class_path.split(".")) or "." not in class_path:
        raise ValueError(f"{adapter!r}: want a class, or module.Class")
    spec = AdapterSpec(
        adapter_id=kebab(class_path.rpartition(".")[2]),
        class_path=class_path,
        config=dict(config or {}),
        feature=feature,
        path=[str(Path(folder).absolute()) for folder in path],
        # Whoever tests an adapter has read its terms; that they are stated is a check of its own.
        accept_license=True,
    )
    plan = CheckPlan(
        spec=spec,
        inputs=dict(inputs or {}),
        device=device,
        variant=variant,
        load_timeout_s=load_timeout_s,
        run_timeout_s=run_timeout_s,
        cancel_patience_s=cancel_patience_s,
    )
    return check_spec(plan, work_dir)


def check_spec(plan: CheckPlan, work_dir: Path | None = None) -> Report:
    """Carry out a plan; see `check_adapter`."""
    if work_dir is None:
        temporary = tempfile.TemporaryDirectory(prefix="pocket3d-check-", ignore_cleanup_errors=True)
        place: contextlib.AbstractContextManager[str | Path] = temporary
    else:
        work_dir.mkdir(parents=True, exist_ok=True)
        place = contextlib.nullcontext(work_dir.absolute())
    with place as folder:
        if plan.env is None:
            plan = msgspec.structs.replace(plan, env=own_environment())
        checks: list[Check] = []
        try:
            checks.extend(run(plan, Path(folder)))
        except ProcessError as error:
            advice = "an adapter must not end or block its process; what it printed last is above"
            checks.append(Check("process", "failed", str(error), advice))
    return Report(adapter_id=plan.spec.adapter_id, checks=checks)


def own_environment() -> dict[str, str]:
    """The environment of a worker with this interpreter, in which it can import what is importable here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NATS_", "POCKET3D_"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder), "PYTHONUNBUFFERED": "1"}
