"""The files that one request returned: which are its own, where they lie, what they are called as artifacts.

Rules: a relative path lies under the request's output folder, after symlinks are resolved; an absolute one lies there
too, or is a regular file written since the request began, which is then copied in; an input that is only mentioned
again becomes its bare filename.
"""

from __future__ import annotations

import itertools
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from pocket3d.contracts.artifact_names import artifact_name
from pocket3d.contracts.worker_frames import OutputFile

#: Kernels stamp files with the clock of the last tick (up to 10 ms old at 100 Hz), so a file written right after the
#: start can look older than it.
COARSE_CLOCK_NS = 20_000_000
_SECOND_NS = 1_000_000_000


class InvalidOutput(Exception):
    """What the adapter returned cannot be a result; the message says where and why."""


class OutputFiles:
    """Collects the files of one request.

    Its folder exists. `inputs` are the local files that it was given, `started_ns` is the wall clock at its start.
    """

    def __init__(self, output_dir: Path, inputs: Iterable[Path], started_ns: int) -> None:
        self._root = output_dir.resolve()
        self._inputs = {each.resolve(): each.name for each in inputs}
        self._started_ns = started_ns
        self._taken: dict[Path, OutputFile] = {}
        #: Where a file lay before it was copied in -> its artifact's name.
        self._copied: dict[Path, str] = {}
        self._names: set[str] = set()

    @property
    def files(self) -> list[OutputFile]:
        """The files taken, in the order of the outputs."""
        return list(self._taken.values())

    def take(self, text: str, place: str) -> str:
        """The artifact's name for a path that the adapter returned under `place`.

        Raises:
            InvalidOutput: no file, not a regular one, outside the folder, or not of this request.
        """
        if not text or "\0" in text:
            raise InvalidOutput(f"{place}: {text!r} is no path")
        given = Path(text)
        try:
            path = given.resolve() if given.is_absolute() else (self._root / given).resolve()
            known = self._known(path)
            if known is not None:
                return known
            if not path.is_relative_to(self._root):
                if not given.is_absolute():
                    raise InvalidOutput(f"{place}: {text!r} leaves the output folder")
                return self._copy_in(path, place)
            return self._add(path, path.relative_to(self._root).as_posix(), place)
        except (OSError, RuntimeError) as error:
            # RuntimeError: a loop of symlinks, before Python 3.13.
            raise InvalidOutput(f"{place}: {text!r} cannot be read: {error}") from error

    def mention(self, text: str) -> str | None:
        """What to put in place of a text outside the `_path` keys: an artifact's name or an input's filename when it
        is the absolute path of one, None when it is just a text.
        """
        if not text.startswith("/") or len(text) > 4096 or "\0" in text:
            return None
        try:
            path = Path(text).resolve()
            known = self._known(path)
            if known is None and path.is_relative_to(self._root) and path.is_file():
                known = self._add(path, path.relative_to(self._root).as_posix(), text)
        except (OSError, RuntimeError):
            return None
        return known

    def _known(self, path: Path) -> str | None:
        if path in self._inputs:
            return self._inputs[path]
        taken = self._taken.get(path)
        return taken.name if taken is not None else self._copied.get(path)

    def _add(self, path: Path, relative: str, place: str) -> str:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InvalidOutput(f"{place}: {relative!r} is not a regular file")
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise InvalidOutput(f"{place}: the name of the file {relative!r} is no UTF-8; give it another") from error
        # Compared without case: results are downloaded to systems that do not tell a.glb from A.glb.
        name = next(each for each in _numbered(artifact_name(relative)) if each.lower() not in self._names)
        self._names.add(name.lower())
        self._taken[path] = OutputFile(name=name, path=str(path), size=status.st_size)
        return name

    def _copy_in(self, source: Path, place: str) -> str:
        # A pipe would block the open and a device is no file: look before, and again at what was opened.
        if not stat.S_ISREG(source.lstat().st_mode):
            raise InvalidOutput(f"{place}: {str(source)!r} is not a regular file")
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode) or not _written_since(status.st_mtime_ns, self._started_ns):
                raise InvalidOutput(
                    f"{place}: {str(source)!r} lies outside the output folder and was not written during this job; "
                    "write files to self.output_dir"
                )
            free = (each for each in _numbered(artifact_name(source.name)) if each.lower() not in self._names)
            target = next(path for path in map(self._root.joinpath, free) if not os.path.lexists(path))
            with target.open("xb") as copy:
                shutil.copyfileobj(stream, copy, 1024 * 1024)
        name = self._copied[source] = self._add(target, target.name, place)
        return name


def _numbered(name: str) -> Iterator[str]:
    """The name, and then the same with 2, 3 and so on before its suffix."""
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:
        stem, dot, suffix = last, "", ""
    yield name
    for number in itertools.count(2):
        yield f"{folder}{slash}{stem}-{number}{dot}{suffix}"


def _written_since(mtime_ns: int, started_ns: int) -> bool:
    if mtime_ns % _SECOND_NS == 0:
        # A file system that keeps whole seconds (or every other one, FAT).
        return mtime_ns // _SECOND_NS >= started_ns // _SECOND_NS - 1
    return mtime_ns >= started_ns - COARSE_CLOCK_NS
