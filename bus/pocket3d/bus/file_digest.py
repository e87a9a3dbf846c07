"""The digest of a local file, by which a file is named, stored once and checked."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

_BLOCK_BYTES = 1024 * 1024


def open_source(source: Path | bytes) -> BinaryIO:
    """A file, or bytes, to read from. Blocks.

    Raises:
        OSError: the file cannot be opened.
    """
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def sha256_of(source: Path | bytes) -> str:
    """The SHA-256 of a file or of bytes in hex, read in constant memory. Blocks for as long as reading it takes.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with open_source(source) as reading:
        while block := reading.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
