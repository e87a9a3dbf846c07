"""For programs that have work done, or wait for results: submit jobs, follow them, fetch their files.

    async with Client.connect("nats://127.0.0.1:4222") as client:
        job = await client.submit("image_to_mesh", {"image_path": Path("cat.png")})
        async for status in job.events():
            print(status.status)
        files = await job.download("out")

It needs nothing but the base install. `pocket3d.bus.sync` has the same without `await`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pocket3d.contracts.api import AgentList, ApiRequest, EmptyRequest, FeatureList, JobList, ListRequest
from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import file_refs
from pocket3d.contracts.jobs import Job, Limits, RetryPolicy, generated_id, is_generated_id
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import Result, Status
from pocket3d.contracts.size_classes import size_header
from pocket3d.contracts.subjects import JOB_ID_PATTERN, Subjects

from ..connect import resolve
from ..jetstream import JetStreamBus
from ..jetstream_away import why_nothing_is_stored
from ..port import Bus, BusError, NoResponders, ObjectInfo, OutcomeUnknown, Refused
from ..result_inputs import check_results
from .chain_calls import ChainCalls
from .errors import JetStreamAway, JobRefused, NotSetUp, QueueFull
from .handle import JobHandle
from .known import find_known
from .results import feed
from .retry import retry_until
from .session import API_TIMEOUT_S, Session
from .submission import FileArgument, build, local_files, refuse, with_jobs, with_references
from .uploads import reference_of, reference_to, unreadable
from .watch import Links

T = TypeVar("T")

_APPEND_TIMEOUT_S = 5.0
#: JetStream's codes for a stream at its limit of messages or bytes.
_FULL = frozenset({10077, 10047, 10023})


class Client(ChainCalls):
    """A producer's or subscriber's view of one namespace on one server. Make one with `connect`.

    Args:
        bus: a connection; `close` closes it.
        namespace: first token of all subjects.
    """

    def __init__(self, bus: Bus, namespace: str = "p3d") -> None:
        self.bus = bus
        self.subjects = Subjects(namespace)
        #: For handles: tells them of reconnects.
        self.links = Links(bus)
        self._session = Session(bus, self.subjects, self.links)

    @classmethod
    def connect(cls, server: str | Sequence[str] | None = None, namespace: str = "p3d", **options: Any) -> Connecting:
        """Connect: `await` it, or use it with `async with`.

        Args:
            server: URL or URLs; by default `NATS_URL`, else nats://127.0.0.1:4222.
            namespace: first token of all subjects.
            options: as `pocket3d.bus.connect.resolve` takes them: context, creds, nkey, user, password, token, tls_ca,
                tls_cert, tls_key, inbox_prefix, name, wait_s, ...

        Raises (when awaited):
            Disconnected: no server answered in time.
            Refused: the server does not accept these credentials.
            ConnectError: the options are wrong.
        """

        async def connect() -> Client:
            Subjects(namespace)  # judged before a connection is made
            return cls(await JetStreamBus.connect(resolve(server, **{"name": "pocket3d client", **options})), namespace)

        return Connecting(connect)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect. Handles of this client are of no use afterwards."""
        await self.bus.close()

    # -- jobs

    async def submit(
        self,
        feature: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        priority: str = "normal",
        files: Mapping[str, FileArgument] | None = None,
        job_id: str | None = None,
        model_preference: str | Sequence[str] | None = None,
        vram_mb: int | None = None,
        commercial_only: bool = False,
        variant: str | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        retry: RetryPolicy | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        cache: bool = False,
        timeout: float = 30.0,
    ) -> JobHandle:
        """Upload the job's files and publish it; returns when the server has stored it.

        The job is checked here as the coordinator will check it. It is published under one id however often that takes,
        so it runs once. The same request under an id that is known already changes nothing: the handle shows the first
        job, and `handle.known` says where it stood.

        Args:
            feature: what is asked, e.g. `image_to_mesh`.
            inputs: its parameters. A `pathlib.Path` under a key that ends in `_path` (or in a list under `_paths`) is a
                file of this machine; it is uploaded, unless the server has it already. A job's handle stands for the
                one file of its result that fits the key, `handle.artifact(name)` for a certain one: this job waits
                until that one has ended.
            priority: `high`, `normal` or `low`.
            files: more local files by key; here a text is a path too.
            job_id: 1 to 64 letters, digits, - and _; by default a random one.
            model_preference: an adapter id or an ordered list of them; binding.
            vram_mb: replaces the adapter's declared requirement, MB.
            commercial_only: only adapters whose licence allows commercial use may run it.
            variant: the adapter's variant in which it must run, not together with `vram_mb`; by default the best that
                can start.
            limits: `schedule_to_start_s`, `start_to_close_s`, `load_s`, in seconds.
            retry: `max_attempts`, `initial_s`, `factor`, `cap_s`.
            metadata: comes back with the result.
            tenant: a label for fair share.
            cache: it may be answered by the result of an earlier job that made the same, if one is remembered.
            timeout: seconds to go on trying to publish while the server is away.

        Raises:
            JobRefused: not a job that would be taken; `field` says where. Nothing was published.
            JobIdTaken: `job_id` is that of another request. Nothing was published.
            NotSetUp: no stream takes it.
            JetStreamAway: JetStream is off on this server, or has no leader.
            QueueFull
            Disconnected, OutcomeUnknown: not within `timeout`; submitting again with the same `job_id` is safe.
        """
        chosen = job_id is not None
        job_id = job_id if job_id is not None else uuid.uuid4().hex
        given = with_jobs(inputs or {})
        local = [(file, await reference_of(file)) for file in local_files(given, files)]
        wanted = {
            "model_preference": model_preference,
            "vram_mb": vram_mb,
            # Left out where it says nothing: former coordinators do not know it.
            "commercial_only": commercial_only or None,
            "variant": variant,
            "cache": cache or None,
            "tenant": tenant,
            "metadata": metadata,
            "limits": limits,
            "retry": retry,
        }
        references = with_references(given, local)
        request = build(feature, references, wanted, job_id=job_id, priority=priority, max_payload=self.bus.max_payload)
        deadline = asyncio.get_running_loop().time() + timeout
        await self._check_id(job_id)
        known = await self._find_known(feature, request.job, deadline) if chosen else None
        if known is not None and known.status in TERMINAL:
            return JobHandle(self._session, job_id, feature, known)
        sizes = await self._check_artifacts(request.job, {reference["artifact"] for _, reference in local}, deadline)
        for file, reference in local:
            try:
                stored = await self._put(file.path, reference, deadline)
            except OSError as error:
                raise unreadable(file, error) from error
            sizes[reference["artifact"]] = stored.size
        headers = {"Nats-Msg-Id": job_id, **size_header(request.job.inputs, sizes)}
        await self._publish(self.subjects.job(priority, feature), request.data, headers, deadline)
        return JobHandle(self._session, job_id, feature, known)

    async def upload(self, path: Path | str, *, timeout: float = 30.0) -> dict[str, str]:
        """Store a file of this machine for jobs to refer to, unless the server has it already.

        Returns the reference to put among a job's inputs: `artifact` ("sha256-" and the digest) and `filename`. While
        the server is away it goes on trying for `timeout` seconds.

        Raises:
            OSError: the file cannot be read.
            Refused: the server has no bucket for inputs, or it is full.
            Disconnected, OutcomeUnknown, NoResponders: not within `timeout`; uploading again is safe.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        reference = await reference_to(Path(path))
        await self._put(Path(path), reference, deadline)
        return reference

    def job(self, job_id: str, feature: str | None = None) -> JobHandle:
        """A handle on a job that was submitted before, by anybody. Asks nothing of the server.

        Raises:
            ValueError: not a job id.
        """
        if not JOB_ID_PATTERN.fullmatch(job_id):
            raise ValueError(f"job id {job_id[:80]!r}: want 1 to 64 of A-Z, a-z, 0-9, _ and -")
        return JobHandle(self._session, job_id, feature)

    async def _check_id(self, job_id: str) -> None:
        """The coordinator would reject an id of the stream's own under another one, out of sight."""
        if not is_generated_id(job_id, job_id):
            return
        try:
            created = await self.bus.stream_created(self.subjects.jobs_stream)
        except BusError:
            # Not permitted, or nobody there: what comes of it is told by what follows.
            return
        if is_generated_id(job_id, generated_id(created, 0)):
            why = f"{job_id!r} is what the server calls a job that comes without an id; choose another"
            raise refuse(FailureCode.INVALID_INPUT, "job_id", why)

    async def _check_artifacts(self, job: Job, uploading: set[str], deadline: float) -> dict[str, int]:
        """Refuse artifacts that are not there, or not for long enough; the sizes of the others, in bytes by name."""
        bucket = self.subjects.inputs_bucket
        sizes: dict[str, int] = {}
        for ref in file_refs(job.inputs):
            if ref.artifact is None or ref.artifact in uploading:
                continue
            info = await retry_until(partial(self.bus.object_info, bucket, ref.artifact), deadline)
            field = f"{ref.field}.artifact"
            if info is None:
                why = f"there is no artifact {ref.artifact!r} in {bucket}: it must be uploaded first"
                raise refuse(FailureCode.ARTIFACT_MISSING, field, why)
            sizes[ref.artifact] = info.size
            may_take_s = job.limits.most_s
            left_s = info.kept_until - time.time()
            if left_s < may_take_s:
                why = f"it is kept for {left_s:.0f} s more and the job may take {may_take_s:.0f} s by its limits"
                raise refuse(FailureCode.ARTIFACT_MISSING, field, f"{why}: upload it again, or set shorter limits")
        if any(ref.result for ref in file_refs(job.inputs)):
            wrong = await retry_until(partial(check_results, self.bus, self.subjects, job, time.time()), deadline)
            if wrong is not None:
                raise JobRefused(wrong)
        return sizes

    async def _put(self, path: Path, reference: dict[str, str], deadline: float) -> ObjectInfo:
        bucket, headers = self.subjects.inputs_bucket, {"filename": reference["filename"]}
        put = partial(self.bus.put_object, bucket, reference["artifact"], path, headers=headers)
        return await retry_until(put, deadline)

    async def _publish(self, subject: str, data: bytes, headers: dict[str, str], deadline: float) -> None:
        # Under one id it may be published any number of times.
        append = partial(self.bus.append, subject, data, headers=headers, timeout=_APPEND_TIMEOUT_S)
        try:
            await retry_until(append, deadline)
        except NoResponders as error:
            why = await why_nothing_is_stored(self.bus, self.subjects.jobs_stream)
            raise (JetStreamAway(f"the job was not stored: {why}") if why else NotSetUp(subject)) from error
        except OutcomeUnknown as error:
            raise await self._unanswered(error) from error
        except Refused as error:
            if error.code in _FULL:
                raise QueueFull(f"the queue takes no more jobs now ({error}); try again when some are done") from error
            raise

    async def _find_known(self, feature: str, job: Job, deadline: float) -> Status | None:
        try:
            return await find_known(self.bus, self.subjects, feature, job, deadline)
        except OutcomeUnknown as error:
            raise await self._unanswered(error) from error

    async def _unanswered(self, error: OutcomeUnknown) -> OutcomeUnknown:
        why = await why_nothing_is_stored(self.bus, self.subjects.jobs_stream)
        return OutcomeUnknown(f"{error}; {why}" if why else str(error))

    # -- results of a feature

    def results(self, feature: str, *, durable: str, ack_wait_s: float = 60.0) -> AsyncGenerator[Result, None]:
        """Every result of a feature, from the oldest that is kept, then each as it comes, without end.

        A result is confirmed when the loop's body asks for the next: one whose body fails or is left by `break` comes
        again, at the latest after `ack_wait_s`, to whoever iterates under this name. So does, now and then, one that
        was seen already: bodies must bear that. Several programs under one name share the results.
        `contextlib.aclosing` ends the iteration at once; left by `break` alone it ends when Python collects it.

        Args:
            feature: as published (an alias is a feature of its own here).
            durable: the name under which the server remembers how far this subscriber is.
            ack_wait_s: seconds after which an unconfirmed result comes again.

        Raises:
            ValueError: not a name.
            DurableInUse: the name stands for something else, e.g. another feature.
        """
        return feed(self.bus, self.subjects, feature, durable, ack_wait_s)

    # -- the coordinator's answers

    async def api(self, verb: str, request: ApiRequest, kind: type[T], timeout: float = API_TIMEOUT_S) -> T:
        """Ask the leading coordinator, `p3d.api.<verb>`; again while nobody answers.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        return await self._session.api(verb, request, kind, timeout)

    async def features(self) -> FeatureList:
        """What can be asked for, and which adapters serve it. Errors as `api`."""
        return await self.api("features", EmptyRequest(), FeatureList)

    async def agents(self) -> AgentList:
        """The agents with their devices and what they run. Errors as `api`."""
        return await self.api("agents", EmptyRequest(), AgentList)

    async def list(
        self,
        *,
        status: str | None = None,
        feature: str | None = None,
        tenant: str | None = None,
        since: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> JobList:
        """One page of jobs, the newest first; `after` is the `next` of the page before. A page may hold less than
        `limit`: the last one is that whose `next` is None. Errors as `api`.

        Args:
            status: a status word.
            feature: as published.
            tenant: as submitted.
            since: submitted then or later, RFC 3339.
            limit: 1 to 1000.
            after: None for the first page.
        """
        request = ListRequest(status=status, feature=feature, tenant=tenant, since=since, limit=limit, after=after)
        return await self.api("list", request, JobList)


class Connecting:
    """A connection to be: `client = await Client.connect(...)` or `async with Client.connect(...) as client`."""

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        self._connect = connect
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        return self._connect().__await__()

    async def __aenter__(self) -> Client:
        self._client = await self._connect()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()
