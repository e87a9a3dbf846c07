"""A batch: many jobs of one feature from a table, a file of JSON lines, or a folder. Reads files, sends nothing.

Each job's id is made of what it asks for: the same row of the same batch is the same job, however often it is
submitted. So a batch that was interrupted goes on where it stood by being submitted again, without a file of its own.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pocket3d.contracts.chains import MAX_GROUP_JOBS
from pocket3d.contracts.codec import convert, encode
from pocket3d.contracts.features import required_inputs
from pocket3d.contracts.jobs import SubmitRequest, is_file_key

from .inputs import InputError, LocalFile, Schema, parse_inputs, with_results

#: Suffixes of the files that a folder's batch takes, by a word in the name of the input.
_SUFFIXES = {
    "image": {
        *(".png", ".jpg", ".jpeg", ".webp", ".jfif"),
        *(".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic", ".heif"),
    },
    "mesh": {".glb", ".gltf", ".vrm", ".3mf", ".fbx", ".dae", ".3ds", ".obj", ".ply", ".stl", ".off"},
}
#: A column or key with this prefix is metadata.
_METADATA = "metadata."
#: Hexadecimal digits of a request's digest in a job id: among a million rows two are alike once in 10^13 batches.
_DIGITS = 20
#: Of the source's name in the id of a group, which has 40 characters at most.
_NAME_CHARS = 19


class Row(NamedTuple):
    """One job of a batch."""

    #: Where it stands, for people: `rows.csv:3`, or the name of a file.
    place: str
    #: Files as `LocalFile`.
    inputs: dict[str, Any]
    metadata: dict[str, Any]


def read_batch(source: Path, feature: str, common: Mapping[str, Any], schemas: Iterable[Schema | None]) -> list[Row]:
    """The jobs of a batch, in order.

    Args:
        source: a `.csv` (the first line names the inputs; an empty cell leaves one out), a `.jsonl` (an object of
            inputs a line), or a folder, each of whose files is a job. Paths in a table are relative to its folder.
        feature: what is asked.
        common: inputs of all jobs; a row's own go before them.
        schemas: the JSON Schemas of the adapters, by which cells of a table are typed.

    Raises:
        InputError: something in it is no input; the message names file and line.
        OSError: it cannot be read.
    """
    known = list(schemas)
    if not source.exists():
        raise InputError(f"{source}: there is no such file or folder")
    if source.is_dir():
        rows = _of_folder(source, feature)
    elif source.suffix.lower() == ".csv":
        rows = _of_table(source, known)
    elif source.suffix.lower() in (".jsonl", ".ndjson"):
        rows = _of_lines(source)
    else:
        raise InputError(f"{source}: a batch is a .csv, a .jsonl or a folder of files")
    found = [row._replace(inputs={**common, **row.inputs}) for row in rows]
    if not found:
        raise InputError(f"{source}: there is no job in it")
    for row in found:
        for file in _files(row.inputs):
            if not file.is_file():
                raise InputError(f"{row.place}: no file {str(file)!r}")
    return found


def job_ids(rows: Sequence[Row], feature: str, request: Mapping[str, Any], digests: Mapping[Path, str]) -> list[str]:
    """The id of each row's job. Rows that ask for the same are jobs of their own: they are counted.

    Args:
        rows: of one batch.
        feature: what is asked.
        request: what else is the same for all jobs: adapters, variant, limits ...
        digests: SHA-256 of each file of the rows.
    """
    seen: Counter[str] = Counter()
    ids = []
    for row in rows:
        asked = {"feature": feature, "request": request, "inputs": row.inputs, "metadata": row.metadata}
        text = json.dumps(asked, sort_keys=True, default=lambda value: _as_json(value, digests))
        digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
        seen[digest] += 1
        ids.append(f"b{digest}" if seen[digest] == 1 else f"b{digest}-{seen[digest]}")
    return ids


class BatchGroup(NamedTuple):
    """Some jobs of a batch as the coordinator knows a group."""

    group_id: str
    #: As `GroupRequest.jobs`.
    jobs: list[dict[str, Any]]


def groups_of(name: str, jobs: Iterable[dict[str, Any]], most_bytes: int) -> list[BatchGroup]:
    """The jobs of a batch in groups, in order. The same jobs of the same source are in the same groups.

    Args:
        name: of the batch's source; the groups' ids begin with it.
        jobs: as `GroupRequest.jobs`, each with its id.
        most_bytes: of one group's jobs in its request; a larger job is in none.

    Raises:
        WireError: one is no job.
    """
    parts: list[list[dict[str, Any]]] = [[]]
    room = most_bytes
    for job in jobs:
        # As it is sent: with all that it leaves out.
        size = len(encode(convert(SubmitRequest, job))) + 1
        if size > most_bytes:
            continue
        if size > room or len(parts[-1]) == MAX_GROUP_JOBS:
            parts.append([])
            room = most_bytes
        parts[-1].append(job)
        room -= size
    return [BatchGroup(_group_id(name, part), part) for part in parts if part]


def _group_id(name: str, jobs: Iterable[Mapping[str, Any]]) -> str:
    ids = "\n".join(job["job_id"] for job in jobs)
    word = re.sub(r"[^A-Za-z0-9]+", "-", name)[:_NAME_CHARS].strip("-") or "batch"
    return f"{word}-{hashlib.sha256(ids.encode()).hexdigest()[:_DIGITS]}"


def files_of(rows: Iterable[Row]) -> list[Path]:
    """The files of the rows, each once."""
    return list(dict.fromkeys(file for row in rows for file in _files(row.inputs)))


def retried_id(job_id: str, number: int) -> str:
    """The id of a row's job when it is tried again for the n-th time, 2 or more."""
    return f"{job_id}-r{number}"


def _as_json(value: Any, digests: Mapping[Path, str]) -> Any:
    if isinstance(value, Path):
        return {"file": digests[value], "name": value.name}
    raise TypeError(f"{type(value).__name__} is no input")


def _files(inputs: Mapping[str, Any]) -> Iterator[Path]:
    for value in inputs.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, LocalFile):
                yield each.path


def _of_table(source: Path, schemas: list[Schema | None]) -> Iterator[Row]:
    with io.StringIO(_text(source), newline="") as file:
        table = csv.reader(file, strict=True)
        try:
            head = next(table, [])
            if not head or not all(name.strip() for name in head):
                raise InputError(f"{source}:1: the first line must name the inputs, such as text_prompt,seed")
            for cells in table:
                if not any(cells):
                    continue
                place = f"{source.name}:{table.line_num}"
                if len(cells) > len(head):
                    raise InputError(f"{place}: {len(cells)} cells, and the first line names {len(head)}")
                yield _row_of_cells(place, [name.strip() for name in head], cells, source.parent, schemas)
        except csv.Error as error:
            raise InputError(f"{source}:{table.line_num}: {error}") from error


def _row_of_cells(
    place: str, head: Sequence[str], cells: Sequence[str], folder: Path, schemas: list[Schema | None]
) -> Row:
    filled = [(name, cell) for name, cell in zip(head, cells, strict=False) if cell != ""]
    metadata = {name.removeprefix(_METADATA): cell for name, cell in filled if name.startswith(_METADATA)}
    words = [f"{name}={cell}" for name, cell in filled if not name.startswith(_METADATA)]
    try:
        inputs = parse_inputs(words, schemas)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    return Row(place, {key: _beside(value, folder) for key, value in inputs.items()}, metadata)


def _of_lines(source: Path) -> Iterator[Row]:
    for number, line in enumerate(_text(source).splitlines(), 1):
        if not line.strip():
            continue
        place = f"{source.name}:{number}"
        try:
            body = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: not JSON: {error}") from error
        if not isinstance(body, dict):
            raise InputError(f'{place}: want an object of inputs, such as {{"text_prompt": "a chair"}}')
        metadata = {key.removeprefix(_METADATA): body.pop(key) for key in list(body) if key.startswith(_METADATA)}
        inputs = {key: _named_files(key, value, source.parent) for key, value in body.items()}
        yield Row(place, inputs, metadata)


def _named_files(key: str, value: Any, folder: Path) -> Any:
    """Texts under `*_path` are files of this machine; references to what is on the server stay as they are."""
    if not is_file_key(key):
        return value
    if isinstance(value, list):
        return [_named_files(key, each, folder) for each in value]
    return LocalFile(folder / value) if isinstance(value, str) else value


def _beside(value: Any, folder: Path) -> Any:
    """A cell's files in the table's folder; `@JOB` that is none there is what that job makes."""
    if isinstance(value, list):
        return [_beside(each, folder) for each in value]
    named = with_results(value, lambda path: (folder / path).is_file())
    return LocalFile(folder / named.path) if isinstance(named, LocalFile) else named


def _of_folder(source: Path, feature: str) -> Iterator[Row]:
    files = [key for wanted in required_inputs(feature) for key in wanted if key.endswith("_path")]
    if len(files) != 1:
        what = f"takes {' and '.join(files)}" if files else "takes no file"
        raise InputError(f"{source}: {feature} {what}: write a .csv or .jsonl that names the files")
    suffixes = next((kinds for word, kinds in _SUFFIXES.items() if word in files[0]), None)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.name.startswith(".") and (suffixes is None or path.suffix.lower() in suffixes):
            yield Row(path.name, {files[0]: LocalFile(path)}, {})


def _text(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8: {error}") from error
