"""What a client asks of chains and groups."""

from __future__ import annotations

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pocket3d.contracts.chain_messages import ChainList, ChainListRequest, ChainStatus, GroupList, GroupStatus
from pocket3d.contracts.chains import AnyChainRequest, field_of, jobs_of
from pocket3d.contracts.jobs import Job, Rejection, RetryPolicy

from ..port import ObjectInfo
from .chain_handle import ChainHandle, GroupHandle
from .chain_submission import build_chain, build_group, files_of, with_handles, with_uploads, within, without_results
from .errors import ApiRefused, JobRefused
from .session import Session
from .submission import LocalFile
from .uploads import reference_of, unreadable

T = TypeVar("T")

#: The coordinator's code for what may be repeated, and the pause before that, seconds.
_NOT_NOW = 503
_PAUSE_S = 0.25
#: Uploads may have taken all of the time: it is asked once all the same.
_LEAST_S = 1.0

Uploads = dict[int, list[tuple[LocalFile, dict[str, str]]]]


class ChainCalls(ABC):
    """A part of `Client`."""

    _session: Session

    @abstractmethod
    async def _check_artifacts(self, job: Job, uploading: set[str], deadline: float) -> dict[str, int]: ...

    @abstractmethod
    async def _put(self, path: Path, reference: dict[str, str], deadline: float) -> ObjectInfo: ...

    async def submit_chain(
        self,
        steps: Sequence[Mapping[str, Any]],
        *,
        chain_id: str | None = None,
        tenant: str | None = None,
        priority: str | None = None,
        retry: RetryPolicy | Mapping[str, Any] | None = None,
        timeout: float = 30.0,
    ) -> ChainHandle:
        """Upload the files of several jobs of which later ones take what earlier ones make, and submit them as one.

        It returns when the chain is stored. The same chain under an id that is known already changes nothing.

        Args:
            steps: of each `name`, `feature` and `inputs`, and what else a job may say: `model_preference`, `limits`,
                ... An input that is a file may be `{"step": name, "name"?: file}`: what another step makes. A
                `pathlib.Path` is a file of this machine, as for `submit`.
            chain_id: 1 to 40 letters, digits, - and _; by default a random one.
            tenant: a label for fair share.
            priority: `high`, `normal` or `low`.
            retry: of the steps that name none of their own.
            timeout: seconds to go on trying while nobody answers.

        Raises:
            JobRefused: not a chain that would be taken; `field` names the step. Nothing was stored.
            ApiRefused: the coordinator refuses it: parameters that no adapter takes (400), a known id with other steps
                (409), no room (429).
            NoLeader, Disconnected: not within `timeout`; submitting again with the same `chain_id` is safe.
        """
        chain_id = chain_id if chain_id is not None else uuid.uuid4().hex
        deadline = asyncio.get_running_loop().time() + timeout
        parts, local = await self._with_references(steps, "steps")
        wanted = {"chain_id": chain_id, "tenant": tenant, "priority": priority, "retry": retry}
        request = build_chain(parts, wanted)
        await self._upload_all(request, local, deadline)
        await self._ask("chain", request, ChainStatus, deadline)
        return ChainHandle(self._session, chain_id)

    async def submit_group(
        self,
        jobs: Sequence[Mapping[str, Any]],
        *,
        group_id: str | None = None,
        tenant: str | None = None,
        timeout: float = 30.0,
    ) -> GroupHandle:
        """Upload the files of many jobs and submit them as one group, of up to 1,000.

        Args:
            jobs: of each `feature` and `inputs`, and what else a job may say: `job_id`, `priority`, `limits`, ... One
                without an id is called `<group_id>-<n>`, n counted from 1.
            group_id: 1 to 40 letters, digits, - and _; by default a random one.
            tenant: of the jobs that name none.
            timeout: seconds to go on trying while nobody answers.

        Raises:
            As `submit_chain`; `field` names the job: `jobs[3].inputs.text_prompt`.
        """
        group_id = group_id if group_id is not None else uuid.uuid4().hex
        deadline = asyncio.get_running_loop().time() + timeout
        parts, local = await self._with_references(jobs, "jobs")
        request = build_group(parts, {"group_id": group_id, "tenant": tenant})
        await self._upload_all(request, local, deadline)
        await self._ask("group", request, GroupStatus, deadline)
        return GroupHandle(self._session, group_id)

    def chain(self, chain_id: str) -> ChainHandle:
        """A handle on a chain that was submitted before, by anybody. Asks nothing of the server.

        Raises:
            ValueError: not the id of a chain.
        """
        return ChainHandle(self._session, chain_id)

    def group(self, group_id: str) -> GroupHandle:
        """A handle on a group that was submitted before, by anybody. Asks nothing of the server.

        Raises:
            ValueError: not the id of a group.
        """
        return GroupHandle(self._session, group_id)

    async def chains(
        self, *, status: str | None = None, tenant: str | None = None, limit: int = 20, after: str | None = None
    ) -> ChainList:
        """One page of chains, the newest first; as `list`. Errors as `api`."""
        request = ChainListRequest(status=status, tenant=tenant, limit=limit, after=after)
        return await self._session.api("chain_list", request, ChainList)

    async def groups(
        self, *, status: str | None = None, tenant: str | None = None, limit: int = 20, after: str | None = None
    ) -> GroupList:
        """One page of groups, the newest first; as `list`. Errors as `api`."""
        request = ChainListRequest(status=status, tenant=tenant, limit=limit, after=after)
        return await self._session.api("group_list", request, GroupList)

    async def _ask(self, verb: str, request: AnyChainRequest, kind: type[T], deadline: float) -> T:
        """Submit it until it is stored: under one id that is done once."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._session.api(verb, request, kind, max(deadline - loop.time(), _LEAST_S))
            except ApiRefused as error:
                if error.code != _NOT_NOW or loop.time() + _PAUSE_S > deadline:
                    raise
            await asyncio.sleep(_PAUSE_S)

    async def _with_references(
        self, parts: Sequence[Mapping[str, Any]], what: str
    ) -> tuple[list[dict[str, Any]], Uploads]:
        """Steps or jobs with references in place of local files, and these with theirs, by place."""
        parts = with_handles(parts)
        uploads: Uploads = {}
        for part in files_of(parts, what):
            try:
                uploads[part.place] = [(file, await reference_of(file)) for file in part.files]
            except JobRefused as error:
                raise within(part.path, error) from error
        return with_uploads(parts, uploads), uploads

    async def _upload_all(self, request: AnyChainRequest, local: Uploads, deadline: float) -> None:
        """Refuse what names a file that is not there, then upload those of this machine."""
        uploading = {reference["artifact"] for files in local.values() for _, reference in files}
        for place, job in enumerate(jobs_of(request)):
            try:
                await self._check_artifacts(without_results(job), uploading, deadline)
            except JobRefused as error:
                raise JobRefused(Rejection(error.code, field_of(request, place, error.field), error.message)) from error
        for place, files in local.items():
            for file, reference in files:
                try:
                    await self._put(file.path, reference, deadline)
                except OSError as error:
                    wrong = unreadable(file, error)
                    raise JobRefused(
                        Rejection(wrong.code, field_of(request, place, wrong.field), wrong.message)
                    ) from error
