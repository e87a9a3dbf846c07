"""Removes folders in which foreign code wrote."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def remove_tree(folder: str | Path) -> None:
    """Remove a folder with all that is in it, as far as it goes. Blocks.

    A model may leave folders that nobody may write to, such as copies of a read-only store of packages: what lies in
    them can be removed only once that is changed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not os.path.isdir(folder):  # noqa: PTH112  # one look for every job
        return
    _open_up(str(folder))
    # A folder is read after it was opened up, as its parent is read first.
    for parent, names, _ in os.walk(folder):
        for name in names:
            _open_up(os.path.join(parent, name))  # noqa: PTH118
    shutil.rmtree(folder, ignore_errors=True)


def _open_up(path: str) -> None:
    if os.path.islink(path):  # noqa: PTH114
        return
    try:
        os.chmod(path, 0o700)  # noqa: PTH101
    except OSError:
        # Another user's, or gone.
        return
