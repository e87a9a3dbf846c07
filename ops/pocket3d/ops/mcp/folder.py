"""The one folder of this machine that tools may read from and write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath


class FolderError(ValueError):
    """A file that tools may not touch, or that is not there; the message is for the agent."""


class Folder:
    """A folder that whoever starts the server allows. What leads out of it is refused before anything is opened.

    Links inside are not followed, wherever they lead. (Somebody who may write to the folder while a tool runs has
    access to it anyway: that is not guarded against.)

    Raises:
        FolderError: not a folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        if not self.root.is_dir():
            raise FolderError(f"{root} is not a folder")

    def file(self, name: str) -> Path:
        """A file in it, by its name relative to it.

        Raises:
            FolderError: it leads out, through a link, or to no file.
        """
        path = self._inside(name)
        try:
            kind = path.stat(follow_symlinks=False).st_mode
        except OSError as error:
            raise FolderError(f"{name[:200]!r} is not in the folder: {error.strerror}") from error
        if not stat.S_ISREG(kind):
            raise FolderError(f"{name[:200]!r} is not a file")
        return path

    def for_job(self, job_id: str) -> Path:
        """Where a job's files go: the folder itself, in which they get one of the job's name.

        Raises:
            FolderError: what lies there leads out.
        """
        target = self._inside(job_id)
        if os.path.lexists(target):
            for path in (target, *target.rglob("*")):
                if path.is_symlink():
                    raise FolderError(f"{path.relative_to(self.root)} is a link; nothing is written through it")
        return self.root

    def relative(self, path: Path) -> str:
        """A file in it as agents name it."""
        return path.relative_to(self.root).as_posix()

    def _inside(self, name: str) -> Path:
        plain = PurePosixPath(name.replace("\\", "/"))
        if (
            not name
            or "\0" in name
            or plain.is_absolute()
            or ".." in plain.parts
            or (plain.parts and ":" in plain.parts[0])
        ):
            raise FolderError(f"{name[:200]!r}: want the name of a file in the folder, without .. and not absolute")
        path = self.root
        for part in plain.parts:
            path = path / part
            if path.is_symlink():
                raise FolderError(f"{name[:200]!r} leads through a link, which is not followed")
        return path
