"""References to files of this machine that are uploaded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pocket3d.contracts.failures import FailureCode

from ..file_digest import sha256_of
from ..jetstream.objects.layout import input_name
from .errors import JobRefused
from .file_names import safe_name
from .submission import LocalFile, refuse


async def reference_to(path: Path) -> dict[str, str]:
    """The reference to a local file: its name by digest, and its own name for the suffix."""
    digest = await asyncio.to_thread(sha256_of, path)
    return {"artifact": input_name(digest), "filename": safe_name(path.name)}


async def reference_of(file: LocalFile) -> dict[str, str]:
    """The same of a file that a job names.

    Raises:
        JobRefused: it cannot be read.
    """
    try:
        return await reference_to(file.path)
    except OSError as error:
        raise unreadable(file, error) from error


def unreadable(file: LocalFile, error: OSError) -> JobRefused:
    """The error for a file that cannot be read."""
    return refuse(FailureCode.INVALID_INPUT, file.field, f"cannot read {file.path}: {error.strerror or error}")
