"""Files that hold a secret."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_private(path: Path, text: str = "") -> None:
    """Write a file that this user alone may read, also where one of that name was open to others.

    Who reads meanwhile finds the former file or the new one, each whole. A link of that name is replaced; what it leads
    to stays as it is.
    """
    # mkstemp opens it for this user alone.
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink()
        raise
