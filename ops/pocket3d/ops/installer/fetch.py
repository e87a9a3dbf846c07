"""Weights from a folder that a person has, from a mirror, or from their own addresses.

A folder may be laid out as the hub's cache (`models--owner--name/snapshots/...`, also below `hub`), by repository
(`owner/name/...`), as another host's models folder (`<recipe>/<folder>/...`), or with single files at its top.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from .steps import FetchFile, FetchWeights

_CHUNK = 1 << 20
_ANSWER_S = 60.0
_HTTP_PARTIAL = 206
_TOLD_EVERY = 100 * 1_000_000
_WILD = frozenset("*?[")

Tell = Callable[[str], None]


class FetchError(Exception):
    """Something is not where it should be, or is not what it should be; says what and where."""


def is_mirror(source: str) -> bool:
    """True if it is an address, false if it is a folder."""
    return source.startswith(("http://", "https://"))


def missing_in_folder(step: FetchWeights | FetchFile, source: Path, model_folder: Path) -> str | None:
    """What a folder lacks of a step's weights, in words, or None."""
    if isinstance(step, FetchFile):
        if _file_in(step, source, model_folder) is None:
            return f"{source} has no {Path(step.target).name}"
        return None
    if not source.is_dir():
        return f"there is no folder {source}"
    if _weights_in(step, source, model_folder) is None:
        files = f" with {', '.join(step.weights.files)}" if step.weights.files else ""
        return f"{source} has no {step.weights.repository}{files}"
    return None


def take_weights(step: FetchWeights, source: Path, model_folder: Path) -> int:
    """Link the files of a folder into the model's folder, or copy them where the file systems differ; how many.

    Raises:
        FetchError: the folder does not have them.
        OSError: they cannot be written.
    """
    place = _weights_in(step, source, model_folder)
    if place is None:
        raise FetchError(missing_in_folder(step, source, model_folder) or f"{source} lacks {step.weights.repository}")
    taken = 0
    for file in _matching(place, step.weights.files):
        _take(place / file, Path(step.folder) / file)
        taken += 1
    return taken


def take_file(step: FetchFile, source: Path, model_folder: Path) -> None:
    """The same for a single file; its checksum is compared.

    Raises:
        FetchError: the folder does not have it, or it is another file.
        OSError: it cannot be written.
    """
    found = _file_in(step, source, model_folder)
    if found is None:
        raise FetchError(f"{source} has no {Path(step.target).name}")
    _check(found, step)
    _take(found, Path(step.target))


def download(step: FetchFile, tell: Tell, mirror: str | None = None) -> None:
    """Get a file, going on where it stopped; its checksum is compared.

    A mirror is asked for `<mirror>/<host>/<path>` first.

    Raises:
        FetchError: no address has it, or it is another file.
        OSError: it cannot be written.
    """
    target = Path(step.target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    parts = urllib.parse.urlsplit(step.file.url)
    addresses = [step.file.url]
    if mirror is not None:
        addresses.insert(0, f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}")
    failures = []
    for address in addresses:
        try:
            _get(address, part, tell)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            failures.append(f"{address}: {error}")
            continue
        _check(part, step)
        part.replace(target)
        return
    raise FetchError("; ".join(failures))


def unpack(step: FetchFile) -> None:
    """Unpack an archive that was fetched, and remove it.

    Raises:
        FetchError: it is no archive, or names files outside its folder.
        OSError: it cannot be written.
    """
    if step.folder is None:
        return
    archive, folder = Path(step.target), Path(step.folder)
    if not hasattr(tarfile, "data_filter"):
        raise FetchError(f"this Python cannot unpack {archive} safely: use 3.10.12, 3.11.4, 3.12 or newer")
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with tarfile.open(archive) as opened:
            # No absolute names, none that leave the folder, no devices, no links out of it.
            opened.extractall(part, filter="data")
    except tarfile.TarError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise FetchError(f"{archive} cannot be unpacked: {error}") from error
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    archive.unlink()


def is_whole(step: FetchWeights | FetchFile) -> bool:
    """True if the files that a step names are there."""
    if isinstance(step, FetchFile):
        return Path(step.target).is_file() if step.folder is None else Path(step.folder).is_dir()
    folder = Path(step.folder)
    exact = [name for name in step.weights.files if not _WILD & set(name)]
    return folder.is_dir() and all((folder / name).is_file() for name in exact)


def _get(address: str, part: Path, tell: Tell) -> None:
    had = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={had}-"} if had else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_ANSWER_S)
    except urllib.error.HTTPError as error:
        # The file was whole already, or is another one by now: from the beginning.
        error.close()
        if not had:
            raise
        part.unlink()
        _get(address, part, tell)
        return
    with answer:
        goes_on = answer.status == _HTTP_PARTIAL
        done = had if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            told = done
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if done - told >= _TOLD_EVERY:
                    told = done
                    tell(f"    {done // 1_000_000} MB of {address}")


def _check(file: Path, step: FetchFile) -> None:
    wanted = step.file.sha256
    if wanted is None:
        return
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != wanted:
        if file.name.endswith(".part"):
            file.unlink()
        raise FetchError(f"{file} is not {step.file.url}: its SHA-256 is {digest.hexdigest()}, expected {wanted}")


def _take(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    real = source.resolve()
    if target.exists() and target.samefile(real):
        return
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(real, part)
    except OSError:
        # Another file system, or one without links.
        shutil.copyfile(real, part)
    part.replace(target)


def _weights_in(step: FetchWeights, source: Path, model_folder: Path) -> Path | None:
    """The place in a folder that has all that is named; the first of the layouts."""
    exact = [name for name in step.weights.files if not _WILD & set(name)]
    for place in _places(step, source, model_folder):
        whole = place.is_dir() and all((place / name).is_file() for name in exact)
        if whole and next(_matching(place, step.weights.files), None) is not None:
            return place
    return None


def _places(step: FetchWeights, source: Path, model_folder: Path) -> Iterator[Path]:
    repository, revision = step.weights.repository, step.weights.revision
    yield source / repository
    for cache in (source, source / "hub"):
        snapshots = cache / f"models--{repository.replace('/', '--')}" / "snapshots"
        if revision is not None:
            yield snapshots / revision
        if revision in (None, "main") and snapshots.is_dir():
            yield from sorted(snapshots.iterdir())
    folder = Path(step.folder)
    if folder.is_relative_to(model_folder):
        inside = folder.relative_to(model_folder)
        yield source / model_folder.name / inside
        yield source / inside
    yield source / repository.rsplit("/", 1)[-1]


def _file_in(step: FetchFile, source: Path, model_folder: Path) -> Path | None:
    target, parts = Path(step.target), urllib.parse.urlsplit(step.file.url)
    places = [source / target.name, source / parts.netloc / parts.path.lstrip("/")]
    if target.is_relative_to(model_folder):
        inside = target.relative_to(model_folder)
        places += [source / model_folder.name / inside, source / inside]
    return next((place for place in places if place.is_file()), None)


def _matching(place: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    """Files below a place, relative to it, that the hub's client would take: its patterns' stars cross slashes."""
    for file in sorted(place.rglob("*")):
        name = file.relative_to(place)
        # What the hub's client writes beside files that it downloads.
        if file.is_file() and ".cache" not in name.parts:
            text = name.as_posix()
            if not patterns or any(fnmatch.fnmatchcase(text, each) for each in patterns):
                yield name
