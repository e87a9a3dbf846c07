"""One job as its producer, or whoever knows its id, sees it: its story, progress, result, files and end."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from pocket3d.contracts.api import CancelRequest, Explanation, JobRequest
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Artifact, Progress, Result, Status, read_result

from .artifacts import ArtifactBroken
from .client_errors import JobFailed, WaitTimeout
from .file_names import safe_paths
from .matching import matches
from .port import BusError, Msg, Stored
from .watch import Watch

if TYPE_CHECKING:
    from .client import Client

_log = structlog.get_logger("pocket3d.bus.handle")

_PAGE = 64
#: Progress messages that a slow reader may be behind; older ones are dropped.
_BEHIND = 256
#: How long a request to the coordinator may take, seconds.
API_TIMEOUT_S = 10.0


class JobHandle:
    """A job by its id. Made by `Client.submit` and `Client.job`; needs no state of its own, so any number may exist.

    Everything is found by the job id alone: the id is unique over all features, and a job that was submitted before
    under this id may have had another feature.
    """

    def __init__(self, client: Client, job_id: str, feature: str | None = None) -> None:
        self._client = client
        self._bus = client.bus
        self._subjects = client.subjects
        self._result: Result | None = None
        self.job_id = job_id
        #: As submitted; None when only the id was given.
        self.feature = feature

    def __repr__(self) -> str:
        return f"JobHandle({self.job_id!r}, feature={self.feature!r})"

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
        return await self._client.api("status", JobRequest(job_id=self.job_id), Status, API_TIMEOUT_S)

    async def explain(self) -> Explanation:
        """Why the job is not running, or where it runs: agents, dimensions, and by how much.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        return await self._client.api("explain", JobRequest(job_id=self.job_id), Explanation, API_TIMEOUT_S)

    async def cancel(self, reason: str | None = None) -> Status:
        """End the job; its status as the coordinator knows it then. Of an ended job: nothing changes.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        request = CancelRequest(job_id=self.job_id, reason=reason)
        return await self._client.api("cancel", request, Status, API_TIMEOUT_S)

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

        async with Watch(self._client.links, subject, self._result_subject, on_message=take) as watch:
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

    # -- the result

    async def result(self, timeout: float | None = None) -> Result:
        """The job's one terminal message, whether it succeeded or not: look at `status`.

        Goes on over reconnects and server restarts. What comes over the wire is verified against the stored message.

        Args:
            timeout: seconds; None waits for ever.

        Raises:
            WaitTimeout
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

    async def download(self, directory: Path | str, *, timeout: float | None = None) -> list[Path]:
        """Wait for the result and write its files into a directory, which is made if need be.

        Each file is checked against the digest in the result. Names are made safe: nothing is written outside of the
        directory whatever they say. Files of the same name there are replaced.

        Returns:
            The files, in the order of the result's artifacts.

        Raises:
            JobFailed: the job did not succeed.
            WaitTimeout: no result in time.
            ArtifactBroken: a file is damaged or not kept any more.
            OSError: the directory cannot be written to.
            Disconnected, OutcomeUnknown
        """
        result = await self.result(timeout)
        if result.status != "succeeded":
            raise JobFailed(result)
        folder = Path(directory)
        paths = [folder / path for path in safe_paths([artifact.name for artifact in result.artifacts])]
        for artifact, path in zip(result.artifacts, paths, strict=True):
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

    def _watch(self, *subjects: str) -> Watch:
        return Watch(self._client.links, *subjects)

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
