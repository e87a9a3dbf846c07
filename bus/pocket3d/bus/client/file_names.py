"""Names of files that cross from one machine to another. Pure: judges names, opens nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

_LONGEST = 200
#: Not allowed in a name on some system that a result may be downloaded to.
_FORBIDDEN = frozenset('<>:"|?*\\/')
#: Devices of Windows, whatever their suffix.
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))})


def safe_name(name: str) -> str:
    """One path component that is a plain file name on every system; the suffix is kept."""
    clean = "".join("_" if c in _FORBIDDEN or ord(c) < 32 or ord(c) == 127 else c for c in name)
    clean = clean.encode("utf-8", "replace").decode()
    while ".." in clean:
        clean = clean.replace("..", ".")
    clean = clean.strip(" ").rstrip(".").lstrip(".") or "file"
    stem, dot, suffix = clean.rpartition(".")
    if (stem or clean).split(".")[0].lower() in _DEVICES:
        clean = f"_{clean}"
    while len(clean.encode()) > _LONGEST:
        stem, dot, suffix = clean.rpartition(".")
        clean = f"{stem[:-1]}.{suffix}" if dot and len(suffix.encode()) <= 20 else clean[:-1]
    return clean


def safe_paths(names: Sequence[str]) -> list[PurePosixPath]:
    """Relative paths for files of one result: within the folder whatever the names say, and all different.

    Subfolders are kept (a mesh may refer to `textures/wood.png`).
    """
    files: set[str] = set()
    folders: set[str] = set()
    paths: list[PurePosixPath] = []
    for name in names:
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        path = PurePosixPath(*(safe_name(part) for part in parts or ["file"]))
        if files & _folders(path):  # a file lies where this one wants a folder
            path = PurePosixPath(safe_name("_".join(path.parts)))
        unique, number = path, 2
        while _key(unique) in files | folders:
            unique = path.with_name(f"{path.stem}-{number}{path.suffix}")
            number += 1
        files.add(_key(unique))
        folders |= _folders(unique)
        paths.append(unique)
    return paths


def _key(path: PurePosixPath) -> str:
    """Equal for paths that are one file on a system that does not tell capitals."""
    return path.as_posix().casefold()


def _folders(path: PurePosixPath) -> set[str]:
    return {_key(parent) for parent in path.parents}
