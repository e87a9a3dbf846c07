"""What commands print: JSON as on the wire, or plain aligned text; and where they write a job's files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pocket3d.bus.client import JobHandle
from pocket3d.contracts.artifact_names import is_artifact_name
from pocket3d.contracts.codec import encode
from pocket3d.contracts.messages import JobError, Progress, Result, Status
from pocket3d.contracts.variants import Variant, best_first, label

from ..progress_view import describe
from ..result_remarks import made, remarks
from ..terminal_text import printable
from .errors import CliError

_OWN = "Pocket3DStudio's own, no weights"
#: Of a cell in a list; `pocket3d adapters show` has the whole text.
_CELL_CHARS = 48


def print_json(message: Any) -> None:
    """One message on one line."""
    click.echo(encode(message).decode())


def print_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Aligned columns; nothing but the head if there are no rows."""
    lines = [
        tuple(head),
        *(tuple("-" if cell is None or cell == "" else printable(str(cell), "") for cell in row) for row in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_fields(pairs: Iterable[tuple[str, Any]]) -> None:
    """One `name: value` a line; those without a value are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", [], {})]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name + ':':<{width + 1}} {printable(str(value))}")


def megabytes(mb: int) -> str:
    """MB as people say it."""
    return f"{mb / 1024:.1f} GB" if mb >= 1024 else f"{mb} MB"


def requirement(vram_mb: int, variants: Sequence[Variant]) -> str | None:
    """What an adapter needs, in each of its variants if it has any; None if that is not known."""
    if variants:
        return ", ".join(f"{megabytes(each.vram_mb)} as {each.name}" for each in best_first(variants))
    return megabytes(vram_mb) if vram_mb else None


def requirement_cell(vram_mb: int, variants: Sequence[Variant]) -> str | None:
    """For a list: what an adapter needs, of one with several variants the least and the most."""
    least, most = (bound((each.vram_mb for each in variants), default=vram_mb) for bound in (min, max))
    return requirement(least, ()) if least == most else f"{megabytes(least)} to {megabytes(most)}"


def size(count: int) -> str:
    """Bytes as people say it."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f} MB"
    return f"{count / 1_000:.1f} kB" if count >= 1_000 else f"{count} B"


def seconds(value: float | None) -> str | None:
    """A duration."""
    return None if value is None else f"{value:.2f} s"


def print_status(status: Status, progress: Progress | None = None) -> None:
    """A job's status for people, and how far its run is."""
    print_fields(
        [
            ("job", status.job_id),
            ("feature", status.feature),
            ("label", status.label),
            ("status", status.status),
            ("progress", describe(progress).strip() if progress is not None else None),
            ("reason", status.reason if status.error is None else None),
            ("attempt", status.attempt or None),
            ("agent", status.agent_id),
            ("device", status.device),
            ("adapter", status.adapter_id and label(status.adapter_id, status.variant)),
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
            ("cached", None if result.cached_from is None else f"it is the result of job {result.cached_from}"),
            ("attempts", result.attempt or None),
            ("agent", result.agent_id),
            ("device", result.device),
            ("adapter", result.adapter_id and label(result.adapter_id, result.variant)),
            ("queued", seconds(timings.queued_s)),
            ("load", seconds(timings.load_s)),
            ("run", seconds(timings.run_s)),
            # Of the device, on the CPU lane of the host.
            ("memory", None if result.vram_peak_mb is None else f"{megabytes(result.vram_peak_mb)} at most"),
            ("made", made(result)),
            ("files", ", ".join(f"{_name(a.name)} ({size(a.size)})" for a in result.artifacts)),
        ]
    )
    for remark in remarks(result):
        click.echo(printable(remark))
    if result.error:
        for attempt in result.error.attempts:
            if (attempt.code, attempt.message) == (result.error.code, result.error.message):
                # It is told above.
                continue
            place = label(str(attempt.agent_id), attempt.variant)
            click.echo(printable(f"  attempt {attempt.attempt} on {place}: {attempt.code}: {attempt.message}"))


def _name(name: str) -> str:
    """A file's name on one line, in quotes where it is not of the form that agents give."""
    return name if is_artifact_name(name) else repr(name)


def _error(error: JobError | None) -> str | None:
    if error is None:
        return None
    where = f" ({error.field})" if error.field else ""
    return f"{error.code}{where}: {error.message}"


async def tell_result(job: JobHandle, result: Result, download: Path | None, *, overwrite: bool, as_json: bool) -> None:
    """Print a result and, if it succeeded and `download` names a folder, write its files.

    Raises:
        CliError: as `write_files`.
    """
    if as_json:
        print_json(result)
    else:
        print_result(result)
    if download is not None and result.status == "succeeded":
        await write_files(job, download, overwrite=overwrite, as_json=as_json)


async def write_files(job: JobHandle, directory: Path, *, overwrite: bool, as_json: bool) -> None:
    """Write the files of a job that succeeded and print where they are, to stderr beside JSON.

    Raises:
        CliError: a file of that name is there already, or the directory cannot be written to.
    """
    try:
        paths = await job.download(directory, overwrite=overwrite)
    except FileExistsError as error:
        raise CliError(str(error), hint="--overwrite replaces it") from error
    except OSError as error:
        raise CliError(f"cannot write to {directory / job.job_id}: {error.strerror or error}") from error
    for path in paths:
        click.echo(printable(f"wrote {path}"), err=as_json)


def licence_cells(terms: Mapping[str, Any] | None, source: str) -> tuple[str | None, str | None, str]:
    """For a list: commercial use, territory, licence of code and weights."""
    if terms is None:
        return ("yes", None, _OWN) if source == "built-in" else ("unclear", None, "not stated")
    code, weights = str(terms["code"]), terms.get("weights")
    texts = _cut(code) if weights in (None, code) else f"{_cut(code)}; weights {_cut(str(weights))}"
    asked = " (to be accepted)" if terms.get("requires_acceptance") else ""
    territory = terms.get("territory")
    return _commercial(terms), None if territory is None else _cut(str(territory)), texts + asked


def _commercial(terms: Mapping[str, Any]) -> str:
    return {True: "yes", False: "no"}.get(terms.get("commercial_use"), "unclear")  # type: ignore[arg-type]  # or None


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARS else f"{text[: _CELL_CHARS - 1]}…"


def licence_fields(terms: Mapping[str, Any] | None, source: str) -> list[tuple[str, Any]]:
    """The whole of it, a field a line."""
    if terms is None:
        return [("licence", _OWN if source == "built-in" else "not stated")]
    return [
        ("licence of the code", terms["code"]),
        ("licence of the weights", terms.get("weights") or "no weights"),
        ("commercial use", _commercial(terms)),
        ("territory", terms.get("territory") or "no restriction stated"),
        ("terms", terms.get("url")),
        ("to be accepted", "accept_license: true in models.yaml" if terms.get("requires_acceptance") else None),
    ]
