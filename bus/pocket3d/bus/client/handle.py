"""One job as its producer, or whoever knows its id, sees it: its story, progress, result, files and end."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path

import structlog

from pocket3d.contracts.api import CancelRequest, Explanation, JobRequest
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Artifact, Progress, Result, Status, read_result

from ..file_digest import sha256_of
from ..jetstream.objects.layout import ArtifactBroken
from ..matching import matches
from ..port import BusError, Msg, Stored
from .errors import JobFailed, WaitTimeout
from .file_names import safe_name, safe_paths
from .session import Session
from .watch import StreamWatch

_log = structlog.get_logger("pocket3d.bus.client.handle")

_PAGE = 64
#: Progress messages that a slow reader may be behind; older ones are dropped.
_BEHIND = 256


class JobHandle:
    """A job by its id. Made by `Client.submit` and `Client.job`; needs no state of its own, so any number may exist.

    Everything is found by the job id alone: the id is unique over all features, and a job that was submitted before
    under this id may have had another feature.
    """

    def __init__(self, session: Session, job_id: str, feature: str | None = None, known: Status | None = None) -> None:
        self._session = session
        self._bus = session.bus
        self._subjects = session.subjects
        self._result: Result | None = None
        self.job_id = job_id
        #: As submitted; None when only the id was given.
        self.feature = feature
        #: Where it stood when it was submitted again under its id; None for a new job.
        self.known = known

    def __repr__(self) -> str:
        return f"JobHandle({self.job_id!r}, feature={self.feature!r})"

    # -- as an input of other jobs

    @property
    def as_input(self) -> dict[str, str]:
        """What names the file of this job's result among the inputs of another one: the only one that fits there."""
        return {"result": self.job_id}

    def artifact(self, name: str) -> dict[str, str]:
        """What names a certain file of this job's result among the inputs of another one."""
        return {"result": self.job_id, "name": name}

    # -- the story

    async def events(self) -> AsyncGenerator[Status, None]:
        """Every step of the job from its `queued` to its terminal one, each once and in order; then it ends.

        Goes on over reconnects and server restarts. The story is kept longer than the result.

        Raises:
            Refused: the server has no events stream, or this user may not read it.
        """
        subject = self._subjects.events_of(self.job_id)
        start = 1

        async def page() -> list[Stored]:
            return await self._bus.pages(self._subjects.events_stream, subject, start=start, limit=_PAGE)

        async with self._watch(subject) as watch:
            while True:
                found = await watch.read(page, list[Stored]())
                for stored in found:
                    start = stored.seq + 1
                    status = _status(stored)
                    if status is None:
                        continue
                    yield status
                    if status.status in TERMINAL:
                        return
                if len(found) < _PAGE:
                    await watch.news()

    async def status(self) -> Status:
        """Where the job stands now, by its last event. It may lag the result by milliseconds.

        Raises:
            ApiRefused: no such job (code 404).
            NoLeader: the job has no event yet and no coordinator answers.
            Disconnected, OutcomeUnknown
        """
        stored = await self._bus.last(self._subjects.events_stream, self._subjects.events_of(self.job_id))
        told = _status(stored) if stored is not None else None
        if told is not None:
            return told
        # Between its publication and its first event only the coordinator can know it.
        return await self._session.api("status", JobRequest(job_id=self.job_id), Status)

    async def explain(self) -> Explanation:
        """Why the job is not running, or where it runs: agents, dimensions, and by how much.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        return await self._session.api("explain", JobRequest(job_id=self.job_id), Explanation)

    async def cancel(self, reason: str | None = None) -> Status:
        """End the job; its status as the coordinator knows it then. Of an ended job: nothing changes.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        request = CancelRequest(job_id=self.job_id, reason=reason)
        return await self._session.api("cancel", request, Status)

    # -- progress

    async def progress(self) -> AsyncGenerator[Progress, None]:
        """The latest progress at once, then each as it comes; ends when the job has its result.

        Progress is sent at most once: a message may be missing, none comes twice or out of order.
        """
        subject = self._subjects.progress_of(self.job_id)
        waiting: deque[bytes] = deque(maxlen=_BEHIND)
        shown: Progress | None = None

        def take(msg: Msg) -> None:
            if matches(subject, msg.subject):
                waiting.append(msg.data)

        async def latest() -> Stored | None:
            return await self._bus.last(self._subjects.progress_stream, subject)

        async with StreamWatch(self._session.links, subject, self._result_subject, on_message=take) as watch:
            while True:
                # The result first: no progress is sent after it, so once it stands the read that follows is the last.
                ended = await watch.read(self._read_result, None)
                # Woken without a message: at first, by a reconnect, by the result, or because some time has passed.
                if ended is not None or not waiting:
                    stored = await watch.read(latest, None)
                    if stored is not None:
                        waiting.append(stored.data)
                while waiting:
                    progress = _progress(waiting.popleft())
                    if progress is not None and _newer(progress, shown):
                        shown = progress
                        yield progress
                if ended is not None:
                    return
                await watch.news()

    async def latest(self) -> Progress | None:
        """The latest progress, as it is kept for an hour; None if there is none."""
        stored = await self._bus.last(self._subjects.progress_stream, self._subjects.progress_of(self.job_id))
        return None if stored is None else _progress(stored.data)

    # -- the result

    async def result(self, timeout: float | None = None) -> Result:
        """The job's one terminal message, whether it succeeded or not: look at `status`.

        Goes on over reconnects and server restarts. What comes over the wire is verified against the stored message.

        Raises:
            WaitTimeout: not within `timeout` seconds.
            Refused: the server has no results stream, or this user may not read it.
        """
        if self._result is not None:
            return self._result
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        async with self._watch(self._result_subject) as watch:
            while True:
                found = await watch.read(self._read_result, None)
                if found is not None:
                    return found
                if not await watch.news(deadline):
                    raise WaitTimeout(self.job_id, timeout or 0.0, await self._stands())

    async def download(
        self, directory: Path | str, *, overwrite: bool = False, timeout: float | None = None
    ) -> list[Path]:
        """Wait for the result and write its files to `directory/<job_id>/<name>`; folders are made if need be.

        So jobs whose files have the same names never meet. A file that is there already is left alone if it is the
        result's, and is never replaced otherwise, unless `overwrite` says so. Each file is checked against the digest
        in the result. Names are made safe: nothing is written outside of the job's folder whatever they say.

        Args:
            directory: holds a folder for each job.
            overwrite: replace other files that have the names of this job's.
            timeout: seconds to wait for the result; None waits for ever.

        Returns:
            The files, in the order of the result's artifacts.

        Raises:
            JobFailed: the job did not succeed.
            WaitTimeout: no result in time.
            FileExistsError: another file has the name of one of this job's; nothing was written.
            ArtifactBroken: a file is damaged or not kept any more.
            OSError: the directory cannot be written to.
            Disconnected, OutcomeUnknown: the server cannot be reached, or did not answer.
        """
        result = await self.result(timeout)
        if result.status != "succeeded":
            raise JobFailed(result)
        folder = Path(directory) / safe_name(self.job_id)
        paths = [folder / path for path in safe_paths([artifact.name for artifact in result.artifacts])]
        wanted = []
        for artifact, path in zip(result.artifacts, paths, strict=True):
            is_there = await asyncio.to_thread(_is_there, path, artifact.sha256)
            if is_there is False and not overwrite:
                raise _other_file(path, self.job_id)
            if not is_there:
                wanted.append((artifact, path))
        for artifact, path in wanted:
            await self._fetch(artifact, path)
        return paths

    async def _fetch(self, artifact: Artifact, path: Path) -> None:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        part = path.with_name(f".{secrets.token_hex(8)}.download")
        try:
            try:
                info = await self._bus.get_object(artifact.bucket, artifact.object, part)
            except KeyError as error:
                raise ArtifactBroken(
                    f"{artifact.name} of job {self.job_id} is not in the bucket {artifact.bucket} any more "
                    f"(object {artifact.object})"
                ) from error
            if info.sha256 != artifact.sha256:
                raise ArtifactBroken(
                    f"{artifact.name} of job {self.job_id} is not the file of its result: "
                    f"SHA-256 {info.sha256}, the result says {artifact.sha256}"
                )
            await asyncio.to_thread(part.replace, path)
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)

    # -- how

    @property
    def _result_subject(self) -> str:
        return self._subjects.result_of(self.job_id)

    def _watch(self, *subjects: str) -> StreamWatch:
        return StreamWatch(self._session.links, *subjects)

    async def _read_result(self) -> Result | None:
        if self._result is None:
            stored = await self._bus.last(self._subjects.results_stream, self._result_subject)
            if stored is not None:
                try:
                    self._result = read_result(stored.data, self.job_id)
                except WireError as error:
                    # The leading coordinator puts a result in its place.
                    _log.warning("not a result, passed over", subject=stored.subject, error=str(error))
        return self._result

    async def _stands(self) -> str:
        """Where the job stands, for the message of a timeout."""
        try:
            stored = await self._bus.last(self._subjects.events_stream, self._subjects.events_of(self.job_id))
        except BusError as error:
            return f"the server cannot be asked where it stands: {error}"
        if stored is None:
            return "no coordinator has taken it yet"
        status = _status(stored)
        if status is None:
            return "its last event cannot be read"
        why = f" ({status.reason})" if status.reason else ""
        where = f" on {status.agent_id}" if status.agent_id else ""
        return f"it is {status.status}{where}{why}"


def _is_there(path: Path, sha256: str) -> bool | None:
    """True if that file lies there, False if something else does, None if nothing does."""
    if not os.path.lexists(path):
        return None
    return path.is_file() and sha256_of(path) == sha256


def _other_file(path: Path, job_id: str) -> FileExistsError:
    return FileExistsError(
        f"{path} is another file than job {job_id} made: move it away, download to another directory, "
        "or replace it with overwrite"
    )


def _status(stored: Stored) -> Status | None:
    try:
        return decode(Status, stored.data)
    except WireError as error:
        # Anybody may publish there; a job's own events follow.
        _log.warning("not an event, passed over", subject=stored.subject, error=str(error))
        return None


def _progress(data: bytes) -> Progress | None:
    try:
        return decode(Progress, data)
    except WireError:
        return None  # anybody may publish there; what is no progress is not shown


def _newer(progress: Progress, shown: Progress | None) -> bool:
    """True if it is not what was shown last, nor older than that. Times are of one length, so they compare as text."""
    if shown is None:
        return True
    key, last = (progress.attempt, progress.at), (shown.attempt, shown.at)
    return key > last or (key == last and progress != shown)
