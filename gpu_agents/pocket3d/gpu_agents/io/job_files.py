"""A job's files: fetched into its directory before it runs, stored as artifacts afterwards."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from pathlib import Path

import structlog

from pocket3d.bus.jetstream.objects.layout import ArtifactBroken
from pocket3d.bus.port import Bus, BusError
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.jobs import FileRef, FileRefError, check_filename, file_refs, is_file_key
from pocket3d.contracts.messages import Artifact

from ..engine.effects import DropArtifacts, FetchInputs, UploadOutputs
from ..engine.events import InputsFailed, InputsFetched, OutputsUploaded, UploadFailed
from .file_kinds import MAGIC_BYTES, media_type, suffix_of
from .job_folders import JobFolders
from .storage_check import explained, never_passes

log = structlog.get_logger(__name__)

#: Pause before a transfer that broke off is tried again, and how often one may break off while connected.
_RETRY_S = 0.5
_TRIES = 5
#: Longest name of an output file, characters.
_NAME_CHARS = 1000


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

    # -- inputs

    def fetch_now(self, effect: FetchInputs) -> InputsFetched | None:
        """As `fetch`, where nothing has to be waited for: no files, and a folder is ready. None otherwise."""
        files = any(is_file_key(key) and value is not None for key, value in effect.inputs.items())
        job_dir = None if files else self.folders.take_now(effect.token)
        return None if job_dir is None else InputsFetched(effect.token, dict(effect.inputs), job_dir, f"{job_dir}/out")

    async def fetch(self, effect: FetchInputs) -> InputsFetched | InputsFailed:
        """Make the job's directory and put its files there. Waits out a lost connection."""
        token, published = effect.token, effect.inputs
        try:
            job_dir = await self.folders.take(token)
            refs = list(file_refs(published))
            inputs = copy.deepcopy(published) if refs else dict(published)
            for number, ref in enumerate(refs):
                path = await self._fetch_one(ref, Path(job_dir, "in", str(number)))
                if ref.index is None:
                    inputs[ref.key] = str(path)
                else:
                    inputs[ref.key][ref.index] = str(path)
        except FileRefError as error:
            return InputsFailed(token, error.code.value, error.message, error.field)
        except OSError as error:
            # The host's fault (a full disk): the job is to go on elsewhere.
            return InputsFailed(token, FailureCode.AGENT_LOST.value, f"the agent could not store the inputs: {error}")
        return InputsFetched(token, inputs, job_dir, f"{job_dir}/out")

    async def _fetch_one(self, ref: FileRef, folder: Path) -> Path:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        if ref.data is not None:
            path = folder / (ref.filename or "input")
            await asyncio.to_thread(path.write_bytes, ref.data)
            return path
        assert ref.artifact is not None
        field = f"inputs.{ref.key}" if ref.index is None else f"inputs.{ref.key}[{ref.index}]"
        target = folder / "download"
        stored_as = await self._download(ref.artifact, field, target)
        name = ref.filename
        if name is None:
            name = await asyncio.to_thread(_name_for, target, stored_as, ref.artifact)
        return await asyncio.to_thread(target.rename, folder / name)

    async def _download(self, artifact: str, field: str, target: Path) -> str | None:
        """Fetch an object; the filename that it was stored with, if any."""
        tries = 0
        while True:
            try:
                info = await self.bus.object_info(self.inputs_bucket, artifact)
                if info is None:
                    raise KeyError(artifact)
                if info.size > self.max_input_bytes:
                    message = f"{artifact} has {info.size} bytes, this agent takes at most {self.max_input_bytes}"
                    raise FileRefError(field, message, FailureCode.TOO_LARGE)
                info = await self.bus.get_object(self.inputs_bucket, artifact, target)
            except KeyError as error:
                message = f"there is no artifact {artifact} in {self.inputs_bucket} (any more); upload it again"
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
        home = self.folders.home(token)
        names: set[str] = set()
        for file in effect.files:
            if not _is_name(file.name) or file.name in names:
                wrong = "is given twice" if file.name in names else "is no name of a file below the output folder"
                return UploadFailed(token, f"an output file: {file.name[:200]!r} {wrong}", permanent=True)
            names.add(file.name)
            name = object_name(effect, file.name)
            try:
                path = await asyncio.to_thread(_own_file, home, file.path)
                info = await self.bus.put_object(
                    self.outputs_bucket,
                    name,
                    path,
                    headers={"filename": file.name.rpartition("/")[2], "Content-Type": media_type(file.name)},
                )
            except (OSError, ValueError, RuntimeError) as error:
                # ValueError: a null byte in the path. RuntimeError (before Python 3.13): links that go round in a ring.
                return UploadFailed(token, f"{file.name}: {error}", permanent=True)
            except BusError as error:
                return UploadFailed(token, f"{file.name}: {explained(error)}", refused=never_passes(error))
            artifacts.append(
                Artifact(
                    name=file.name,
                    bucket=info.bucket,
                    object=info.name,
                    size=info.size,
                    sha256=info.sha256,
                    media_type=media_type(file.name),
                )
            )
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


def _is_name(name: str) -> bool:
    """True for a relative path with / as separator that leads nowhere else and shows on one line."""
    return name.isprintable() and len(name) <= _NAME_CHARS and not {"", ".", ".."} & set(name.split("/"))


def _own_file(home: str, path: str) -> Path:
    """The file, if it is a regular one inside the job's directory.

    Raises:
        OSError, ValueError, RuntimeError: it is not, or its path is none.
    """
    real = Path(path).resolve(strict=True)
    if Path(home).resolve() not in real.parents or not real.is_file():
        raise FileNotFoundError(f"{path} is no file of this job")
    return real


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
