"""`--download`: a job's files on this machine, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pocket3d.bus.client import JobHandle

from .errors import CliError

F = TypeVar("F", bound=Callable[..., Any])


def download_options(command: F) -> F:
    """`--download DIR` and `--overwrite`."""
    command = click.option(
        "--overwrite", is_flag=True, help="Replace files under DIR/JOB_ID that are not this job's; else they are kept."
    )(command)
    return click.option(
        "--download",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write the job's files to DIR/JOB_ID once it has succeeded.",
    )(command)


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
        click.echo(f"wrote {path}", err=as_json)
