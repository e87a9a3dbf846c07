"""A job's files: fetched into its directory before it runs, stored as artifacts afterwards."""

from __future__ import annotations

import asyncio
import copy
import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from pocket3d.bus.jetstream.objects.layout import ArtifactBroken
from pocket3d.bus.port import Bus, BusError
from pocket3d.contracts.artifact_names import is_artifact_name
from pocket3d.contracts.commands import StoredFile
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import FileRef, FileRefError, check_filename, file_refs, is_file_key
from pocket3d.contracts.messages import Artifact
from pocket3d.contracts.worker_frames import OutputFile

from ..engine.effects import DropArtifacts, FetchInputs, UploadOutputs
from ..engine.events import InputsFailed, InputsFetched, OutputsUploaded, UploadFailed
from .file_kinds import MAGIC_BYTES, media_type, suffix_of
from .job_folders import JobFolders
from .storage_check import explained, never_passes

log = structlog.get_logger(__name__)

#: Pause before a transfer that broke off is tried again, and how often one may break off while connected.
_RETRY_S = 0.5
_TRIES = 5
#: A file of more bytes than this whose data is less than one part in so many is refused: a few system calls make one of
#: terabytes, whose zeros would be stored.
_SPARSE_FROM = 1024 * 1024
_HOLES = 100


@dataclass(frozen=True)
class JobFiles:
    """Moves files between the object stores and the jobs' directories."""

    bus: Bus
    #: The jobs' directories.
    folders: JobFolders
    #: What inputs name artifacts of.
    inputs_bucket: str
    #: Where outputs go.
    outputs_bucket: str
    #: Larger input files are refused.
    max_input_bytes: int
    #: Output files of one job of more bytes, all together, are refused.
    max_output_bytes: int

    # -- inputs

    def fetch_now(self, effect: FetchInputs) -> InputsFetched | None:
        """As `fetch`, where nothing has to be waited for: no files, and a folder is ready. None otherwise."""
        files = any(is_file_key(key) and value is not None for key, value in effect.inputs.items())
        job_dir = None if files else self.folders.take_now(effect.token)
        if job_dir is None:
            return None
        return InputsFetched(effect.token, dict(effect.inputs), job_dir, f"{job_dir}/out", 0)

    async def fetch(self, effect: FetchInputs) -> InputsFetched | InputsFailed:
        """Make the job's directory and put its files there. Waits out a lost connection."""
        token, published = effect.token, effect.inputs
        try:
            job_dir = await self.folders.take(token)
            refs = list(file_refs(published))
            inputs = copy.deepcopy(published) if refs else dict(published)
            total = 0
            for number, ref in enumerate(refs):
                path = await self._fetch_one(ref, effect.objects, Path(job_dir, "in", str(number)))
                total += (await asyncio.to_thread(path.stat)).st_size
                if ref.index is None:
                    inputs[ref.key] = str(path)
                else:
                    inputs[ref.key][ref.index] = str(path)
        except FileRefError as error:
            return InputsFailed(token, error.code.value, error.message, error.field)
        except OSError as error:
            # The host's fault (a full disk): the job is to go on elsewhere.
            return InputsFailed(token, FailureCode.AGENT_LOST.value, f"the agent could not store the inputs: {error}")
        return InputsFetched(token, inputs, job_dir, f"{job_dir}/out", total)

    async def _fetch_one(self, ref: FileRef, objects: Mapping[str, StoredFile], folder: Path) -> Path:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        if ref.data is not None:
            path = folder / (ref.filename or "input")
            await asyncio.to_thread(path.write_bytes, ref.data)
            return path
        bucket, artifact = self._object_of(ref, objects)
        target = folder / "download"
        stored_as = await self._download(bucket, artifact, ref.field, target)
        name = ref.filename
        if name is None:
            name = await asyncio.to_thread(_name_for, target, stored_as, artifact)
        return await asyncio.to_thread(target.rename, folder / name)

    def _object_of(self, ref: FileRef, objects: Mapping[str, StoredFile]) -> tuple[str, str]:
        """Bucket and name of an uploaded file, or of one that another job made: the award says which object that is.

        Raises:
            FileRefError: the award does not say it.
        """
        if ref.artifact is not None:
            return self.inputs_bucket, ref.artifact
        if ref.field not in objects:
            message = f"the coordinator did not say which file of job {ref.result} it is: is it of a former version?"
            raise FileRefError(ref.field, message, FailureCode.ARTIFACT_MISSING)
        return objects[ref.field].bucket, objects[ref.field].object

    async def _download(self, bucket: str, artifact: str, field: str, target: Path) -> str | None:
        """Fetch an object; the filename that it was stored with, if any."""
        tries = 0
        while True:
            try:
                info = await self.bus.object_info(bucket, artifact)
                if info is None:
                    raise KeyError(artifact)
                if info.size > self.max_input_bytes:
                    message = f"{artifact} has {info.size} bytes, this agent takes at most {self.max_input_bytes}"
                    raise FileRefError(field, message, FailureCode.TOO_LARGE)
                info = await self.bus.get_object(bucket, artifact, target)
            except KeyError as error:
                again = "upload it again" if bucket == self.inputs_bucket else "its job must be done again"
                message = f"there is no artifact {artifact} in {bucket} (any more); {again}"
                raise FileRefError(field, message, FailureCode.ARTIFACT_MISSING) from error
            except BusError as error:
                tries += self.bus.connected
                if tries >= _TRIES:
                    code = FailureCode.ARTIFACT_MISSING if isinstance(error, ArtifactBroken) else FailureCode.AGENT_LOST
                    raise FileRefError(field, f"{artifact} could not be fetched: {error}", code) from error
                log.info("an input could not be fetched yet", artifact=artifact, error=str(error))
                await asyncio.sleep(_RETRY_S)
            else:
                return {key.lower(): value for key, value in info.headers.items()}.get("filename")

    # -- outputs

    async def upload(self, effect: UploadOutputs) -> OutputsUploaded | UploadFailed:
        """Store files as `<job_id>/<token>/<name>`. Names and paths are a worker's word: they may be anything."""
        token = effect.token
        artifacts: list[Artifact] = []
        try:
            files = await asyncio.to_thread(_own_files, self.folders.home(token), effect.files, self.max_output_bytes)
            for name, path in files:
                info = await self.bus.put_object(
                    self.outputs_bucket,
                    object_name(effect, name),
                    path,
                    headers={"filename": name.rpartition("/")[2], "Content-Type": media_type(name)},
                )
                artifacts.append(
                    Artifact(
                        name=name,
                        bucket=info.bucket,
                        object=info.name,
                        size=info.size,
                        sha256=info.sha256,
                        media_type=media_type(name),
                    )
                )
        except (OSError, ValueError) as error:
            return UploadFailed(token, f"an output file: {error}", permanent=True)
        except BusError as error:
            return UploadFailed(token, f"an output file: {explained(error)}", refused=never_passes(error))
        return OutputsUploaded(token, tuple(artifacts))

    async def drop(self, effect: DropArtifacts) -> None:
        """Delete what this attempt stored. What cannot be deleted now goes by the bucket's age limit."""
        for file_name in effect.names:
            name = object_name(effect, file_name)
            try:
                await self.bus.delete_object(self.outputs_bucket, name)
            except BusError as error:
                log.info("an artifact of a lost attempt stays until it expires", object=name, error=str(error))


def object_name(effect: UploadOutputs | DropArtifacts, name: str) -> str:
    """The name of an artifact in the outputs bucket: an attempt writes under its own token only."""
    return f"{effect.job_id}/{effect.token}/{name}"


def _own_files(home: str, files: Iterable[OutputFile], most: int) -> list[tuple[str, Path]]:
    """Names and real paths of what a worker returned. Blocks.

    Raises:
        OSError, ValueError: one is no file of this job, has no name of an artifact, or they are too large.
    """
    found: dict[str, Path] = {}
    total = 0
    for file in files:
        if not is_artifact_name(file.name) or file.name in found:
            wrong = "is given twice" if file.name in found else "is no name of an artifact"
            raise ValueError(f"{file.name[:200]!r} {wrong}")
        path = found[file.name] = _own_file(home, file.path)
        size = path.stat().st_size
        total += size
        if total > most:
            raise ValueError(
                f"{file.name} brings the job's files to {total:,} bytes, this agent stores at most {most:,} of one "
                "job (its setting max_output_mb)"
            )
        if size > _SPARSE_FROM and _data_bytes(path, size) * _HOLES < size:
            raise ValueError(f"{file.name} has {size:,} bytes, but hardly any data: it consists of holes")
    return list(found.items())


def _own_file(home: str, path: str) -> Path:
    """The file, if it is a regular one inside the job's directory.

    Raises:
        OSError, ValueError: it is not, or its path is none.
    """
    try:
        real = Path(path).resolve(strict=True)
    except RuntimeError as error:
        # Before Python 3.13, for links that go round in a ring.
        raise ValueError(str(error)) from error
    if Path(home).resolve() not in real.parents or not real.is_file():
        raise FileNotFoundError(f"{path} is no file of this job")
    return real


def _data_bytes(path: Path, size: int) -> int:
    """How much of a file is no hole; all of it where the file system does not tell."""
    data = at = 0
    with path.open("rb", buffering=0) as file:
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError as error:
                # Nothing but a hole follows; or a file system without holes.
                return data if error.errno == errno.ENXIO else size
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            data += at - start
    return data


def _name_for(path: Path, stored_as: str | None, artifact: str) -> str:
    """A local name with the right suffix: as the file was stored, else by its first bytes."""
    if stored_as:
        try:
            check_filename("filename", stored_as)
        except FileRefError:
            log.info("the stored filename is not used", artifact=artifact)
        else:
            return stored_as
    with path.open("rb") as stream:
        return "input" + suffix_of(stream.read(MAGIC_BYTES))
