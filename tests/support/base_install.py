"""An installation without a network: the wheel and what it requires, copied from what is installed here."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def install(wheel: Path, folder: Path, extras: frozenset[str] = frozenset()) -> Path:
    """Unpack the wheel and link every package that it requires, with theirs, into a folder for `python_in`."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
        [info] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        required = message_from_bytes(archive.read(info)).get_all("Requires-Dist") or []
    todo, seen = list(_wanted(required, extras)), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        found = metadata.distribution(name)
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] != ".."}:
            source = Path(str(found.locate_file(top)))
            if source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)
        todo += _wanted(found.requires or [], frozenset())
    return folder


def _wanted(requirements: list[str], extras: frozenset[str]) -> list[str]:
    """The names of the packages required here without an extra, or by one of these; our own extras name one another."""
    parsed = [Requirement(text) for text in requirements]
    return [
        each.name
        for each in parsed
        if not each.name.startswith("pocket3d")
        and (each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)))
    ]


def python_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """This interpreter with what lies in the folder, and nothing else of this environment."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "NATS", "POCKET3D"))}
    # -S: no site-packages.
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        env={**environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
