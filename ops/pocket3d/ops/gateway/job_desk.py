"""Jobs as a caller may see and change them: the client's and the coordinator's verbs, behind the caller's rights."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import structlog

from pocket3d.bus.client import Client
from pocket3d.bus.client.api_calls import call
from pocket3d.bus.client.errors import ApiRefused, WaitTimeout
from pocket3d.bus.client.handle import JobHandle
from pocket3d.bus.client.session import API_TIMEOUT_S
from pocket3d.bus.client.stored_request import stored_request
from pocket3d.contracts.api import CancelRequest, Explanation, JobList, JobRequest, ListRequest
from pocket3d.contracts.codec import WireError, convert, decode
from pocket3d.contracts.jobs import SubmitRequest, file_refs, is_file_key
from pocket3d.contracts.lifecycle import TERMINAL
from pocket3d.contracts.messages import DeadLetter, Result, Status, read_result

from .errors import HttpError
from .tokens import Caller

log = structlog.get_logger("pocket3d.ops.gateway.jobs")

T = TypeVar("T")

#: Jobs whose tenant is remembered, and requests that were submitted here.
_REMEMBERED = 20_000
_REMEMBERED_REQUESTS = 500


class JobDesk:
    """What callers do with jobs. Jobs of other tenants are unknown to all but admins."""

    def __init__(self, client: Client) -> None:
        self._client = client
        #: Job id -> tenant, which never changes.
        self._tenants: OrderedDict[str, str] = OrderedDict()
        #: Job id -> what was submitted; the system itself forgets the requests of ended jobs.
        self._requests: OrderedDict[str, dict[str, Any]] = OrderedDict()

    async def api(self, verb: str, request: msgspec.Struct, kind: type[T], timeout: float = API_TIMEOUT_S) -> T:
        """Ask the leading coordinator, `p3d.api.<verb>`. For what may be repeated.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        bus, subjects = self._client.bus, self._client.subjects
        return await call(bus, subjects.api(verb), request, kind, timeout, subjects.coordinator_service)

    def tenant_of(self, caller: Caller, given: Any) -> str:
        """The tenant for what a caller submits.

        Raises:
            HttpError: 403, it names another's.
        """
        if given is None or given == caller.tenant:
            return caller.tenant
        if not caller.may("admin"):
            raise HttpError(403, f"this token submits for the tenant {caller.tenant!r} alone", "tenant")
        return str(given)

    async def submit(self, caller: Caller, body: Mapping[str, Any]) -> Status:
        """Submit a job as `p3d.api.submit` takes it; its tenant is the caller's. Without a `job_id` it gets one, so
        that the request may be repeated until an answer comes.

        Raises:
            HttpError: another's tenant, an input that is not there.
            WireError, ApiRefused, NoLeader, Disconnected
        """
        if not caller.may("submit"):
            raise HttpError(403, "this token may read and not submit")
        wanted = {**body, "tenant": self.tenant_of(caller, body.get("tenant"))}
        wanted.setdefault("job_id", uuid.uuid4().hex)
        request = convert(SubmitRequest, wanted)
        await self.check_sources(caller, request.inputs)
        await self._check_artifacts(request)
        status = await self.api("submit", request, Status)
        self._remember(status.job_id, status.tenant)
        self._requests[status.job_id] = wanted
        if len(self._requests) > _REMEMBERED_REQUESTS:
            self._requests.popitem(last=False)
        log.info("job submitted", job_id=status.job_id, feature=status.feature, tenant=status.tenant)
        return status

    async def handle(self, caller: Caller, job_id: str) -> JobHandle:
        """A handle on a job that the caller sees.

        Raises:
            HttpError: 404, unknown, or another tenant's.
            NoLeader, Disconnected, OutcomeUnknown
        """
        try:
            handle = self._client.job(job_id)
        except ValueError as error:
            raise HttpError(400, str(error), "job_id") from error
        if not caller.may("admin"):
            tenant = self._tenants.get(job_id)
            if tenant is None:
                tenant = self._remember(job_id, (await handle.status()).tenant)
            if not caller.sees(tenant):
                raise HttpError(404, f"no job {job_id!r} is known", "job_id")
        return handle

    async def status(self, caller: Caller, job_id: str) -> Status:
        """Where it stands, by its last event. Errors as `handle`, and `ApiRefused` with 404."""
        status = await (await self.handle(caller, job_id)).status()
        self._remember(job_id, status.tenant)
        return status

    async def result(self, caller: Caller, job_id: str, wait_s: float = 0.0) -> Result:
        """Its result; one that has not ended is waited for.

        Raises:
            HttpError: 404, it has none yet, and did not get one within `wait_s` seconds.
        """
        handle = await self.handle(caller, job_id)
        found = await self.result_now(job_id)
        if found is None and wait_s > 0:
            # Of an unknown job there will be none.
            await handle.status()
            try:
                found = await handle.result(timeout=wait_s)
            except WaitTimeout:
                found = None
        if found is None:
            status = await handle.status()
            raise HttpError(404, f"job {job_id} has no result yet: it is {status.status}", "job_id")
        self._remember(job_id, found.tenant)
        return found

    async def result_now(self, job_id: str) -> Result | None:
        """What the results stream holds; visible to whom is not asked."""
        subjects = self._client.subjects
        stored = await self._client.bus.last(subjects.results_stream, subjects.result_of(job_id))
        if stored is None:
            return None
        try:
            return read_result(stored.data, job_id)
        except WireError as error:
            log.warning("not a result, passed over", subject=stored.subject, error=str(error))
            return None

    async def cancel(self, caller: Caller, job_id: str, reason: str | None = None) -> Status:
        """End it; its status as it is then. Errors as `handle`."""
        self._may_change(caller)
        await self.handle(caller, job_id)
        return await self.api("cancel", CancelRequest(job_id=job_id, reason=reason), Status)

    async def explain(self, caller: Caller, job_id: str) -> Explanation:
        """Why it does not run, or where it does; also of a step of a chain that is no job yet. Errors as `handle`."""
        try:
            await self.handle(caller, job_id)
        except ApiRefused as error:
            if error.code != 404:
                raise
            told = await self.api("explain", JobRequest(job_id=job_id), Explanation)
            if told.tenant is None or not caller.sees(told.tenant):
                raise
            return told
        return await self.api("explain", JobRequest(job_id=job_id), Explanation)

    async def page(self, caller: Caller, request: ListRequest) -> JobList:
        """A page of jobs, the newest first: of the caller's tenant, for an admin of all or one.

        Raises:
            HttpError: 403, another's tenant.
        """
        if not caller.may("admin"):
            request = msgspec.structs.replace(request, tenant=self.tenant_of(caller, request.tenant))
        return await self.api("list", request, JobList)

    async def request(self, caller: Caller, job_id: str) -> dict[str, Any]:
        """What was submitted, as `submit` takes it.

        Unfinished jobs have it in the jobs stream, those given up among the dead letters; of others it is known where
        they were submitted through this gateway, not too long ago.

        Raises:
            HttpError: 404, nobody has it any more.
        """
        handle = await self.handle(caller, job_id)
        found = self._requests.get(job_id) or await self._queued_request(job_id) or await self._dead_request(job_id)
        if found is None:
            await handle.status()
            why = "the system keeps requests of unfinished and failed jobs only"
            raise HttpError(404, f"the request of job {job_id} is not kept: {why}", "job_id")
        return found

    async def retry(self, caller: Caller, job_id: str) -> Status:
        """Submit the request of an ended job again, under an id of its own.

        Raises:
            HttpError: 409, it has not ended; 404 as `request`.
        """
        self._may_change(caller)
        status = await self.status(caller, job_id)
        # The events lag the result by milliseconds.
        if status.status not in TERMINAL and await self.result_now(job_id) is None:
            raise HttpError(409, f"job {job_id} has not ended: it is {status.status}", "job_id")
        body = {**await self.request(caller, job_id), "job_id": uuid.uuid4().hex}
        if caller.may("admin"):
            body["tenant"] = status.tenant
        return await self.submit(caller, body)

    def remembered_tenant(self, job_id: str) -> str | None:
        """The tenant of a job, where it is known here."""
        return self._tenants.get(job_id)

    def remember_tenant(self, job_id: str, tenant: str) -> None:
        """Told by somebody who has heard of the job."""
        self._remember(job_id, tenant)

    def _may_change(self, caller: Caller) -> None:
        if not caller.may("submit"):
            raise HttpError(403, "this token may read and not change jobs")

    def _remember(self, job_id: str, tenant: str) -> str:
        self._tenants[job_id] = tenant
        self._tenants.move_to_end(job_id)
        if len(self._tenants) > _REMEMBERED:
            self._tenants.popitem(last=False)
        return tenant

    async def check_sources(self, caller: Caller, inputs: Mapping[str, Any]) -> None:
        """Results of jobs that the caller does not see are no inputs of its jobs.

        Raises:
            HttpError: 404
        """
        if caller.may("admin"):
            return
        for key, value in inputs.items():
            for each in value if isinstance(value, list) else [value]:
                source = each.get("result") if is_file_key(key) and isinstance(each, Mapping) else None
                if isinstance(source, str):
                    await self.handle(caller, source)

    async def _check_artifacts(self, request: SubmitRequest) -> None:
        """An upload that is not there is told now, and not by the job's end."""
        bucket = self._client.subjects.inputs_bucket
        try:
            refs = list(file_refs(request.inputs))
        except ValueError:
            # The coordinator says what is wrong, with the field.
            return
        for ref in refs:
            if ref.artifact is not None and await self._client.bus.object_info(bucket, ref.artifact) is None:
                field = f"inputs.{ref.key}" + ("" if ref.index is None else f"[{ref.index}]") + ".artifact"
                raise HttpError(400, f"there is no artifact {ref.artifact!r}: upload it first, POST /v1/files", field)

    async def _queued_request(self, job_id: str) -> dict[str, Any] | None:
        stored = await stored_request(self._client.bus, self._client.subjects, job_id)
        if stored is None:
            return None
        named = self._client.subjects.parse_job(stored.subject)
        return _as_submitted(named.feature, named.priority, decode(dict[str, Any], stored.data))

    async def _dead_request(self, job_id: str) -> dict[str, Any] | None:
        bus, subjects = self._client.bus, self._client.subjects
        stored = await bus.last(subjects.dead_stream, subjects.dead("*", job_id))
        if stored is None:
            return None
        letter = decode(DeadLetter, stored.data)
        if letter.request is None:
            return None
        return _as_submitted(letter.feature, letter.priority, letter.request)


def _as_submitted(feature: str, priority: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """A job's message as `p3d.api.submit` takes it."""
    return {**request, "feature": feature, "priority": priority}
