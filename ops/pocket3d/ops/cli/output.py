"""What commands print: JSON as on the wire, or plain aligned text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click

from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import JobError, Result, Status


def print_json(message: Any) -> None:
    """One message on one line."""
    click.echo(encode(message).decode())


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Aligned columns; nothing but the head if there are no rows."""
    lines = [tuple(head), *(tuple("-" if cell is None or cell == "" else str(cell) for cell in row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """One `name: value` a line; those without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name + ':':<{width + 1}} {value}")


def megabytes(mb: int) -> str:
    """MB as people say it."""
    return f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb} MB"


def size(count: int) -> str:
    """Bytes as people say it."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f} MB"
    return f"{count / 1_000:.1f} kB" if count >= 1_000 else f"{count} B"


def seconds(value: float | None) -> str | None:
    """A duration."""
    return None if value is None else f"{value:.2f} s"


def print_status(status: Status) -> None:
    """A job's status for people."""
    print_fields(
        [
            ("job", status.job_id),
            ("feature", status.feature),
            ("status", status.status),
            ("reason", status.reason),
            ("attempt", status.attempt or None),
            ("agent", status.agent_id),
            ("device", status.device),
            ("adapter", status.adapter_id),
            ("since", status.at),
            ("error", _error(status.error)),
        ]
    )


def print_result(result: Result) -> None:
    """A job's result for people."""
    timings = result.timings
    print_fields(
        [
            ("job", result.job_id),
            ("feature", result.feature),
            ("status", result.status),
            ("error", _error(result.error)),
            ("attempts", result.attempt or None),
            ("agent", result.agent_id),
            ("device", result.device),
            ("adapter", result.adapter_id),
            ("queued", seconds(timings.queued_s)),
            ("load", seconds(timings.load_s)),
            ("run", seconds(timings.run_s)),
            ("VRAM peak", None if result.vram_peak_mb is None else megabytes(result.vram_peak_mb)),
            ("files", ", ".join(f"{a.name} ({size(a.size)})" for a in result.artifacts)),
        ]
    )
    if result.error:
        for attempt in result.error.attempts:
            click.echo(f"  attempt {attempt.attempt} on {attempt.agent_id}: {attempt.code}: {attempt.message}")


def _error(error: JobError | None) -> str | None:
    if error is None:
        return None
    where = f" ({error.field})" if error.field else ""
    return f"{error.code}{where}: {error.message}"
