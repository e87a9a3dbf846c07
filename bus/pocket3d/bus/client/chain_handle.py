"""A chain or a group as whoever submitted it, or knows its id, sees it: its status, its end, its files."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from pocket3d.contracts.api import ApiRequest
from pocket3d.contracts.chain_messages import (
    CHAIN_TERMINAL,
    ChainCancelRequest,
    ChainIdRequest,
    ChainStatus,
    GroupCancelRequest,
    GroupIdRequest,
    GroupStatus,
)
from pocket3d.contracts.codec import WireError, decode
from pocket3d.contracts.subjects import CHAIN_ID_PATTERN, ChainKind

from ..port import BusError, Stored
from .errors import ChainFailed, ChainWaitTimeout, ClientError
from .handle import JobHandle
from .session import Session
from .watch import StreamWatch

_log = structlog.get_logger("pocket3d.bus.client.chain_handle")

S = TypeVar("S", ChainStatus, GroupStatus)

_PAGE = 16


class _Handle(ABC, Generic[S]):
    """What chains and groups have in common."""

    _kind: ChainKind
    _status_type: type[S]

    def __init__(self, session: Session, name: str) -> None:
        if not CHAIN_ID_PATTERN.fullmatch(name):
            raise ValueError(f"{self._kind} id {name[:80]!r}: want 1 to 40 of A-Z, a-z, 0-9, _ and -")
        self._session = session
        self._name = name
        self._stream = session.subjects.chains_stream
        self._subject = session.subjects.chain_events_of(self._kind, name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @abstractmethod
    def _id_request(self) -> ApiRequest: ...

    async def status(self) -> S:
        """Where it stands now, with where its jobs are.

        Raises:
            ApiRefused: it is not known (code 404).
            NoLeader, Disconnected
        """
        return await self._session.api(f"{self._kind}_status", self._id_request(), self._status_type)

    async def retry(self) -> S:
        """Start what failed or was cancelled anew; what succeeded stays. Of one that runs, or that succeeded, nothing
        changes.

        Raises:
            ApiRefused: it is not known (404), or has run too often (409).
            NoLeader, Disconnected
        """
        return await self._session.api(f"{self._kind}_retry", self._id_request(), self._status_type)

    async def wait(self, timeout: float | None = None) -> S:
        """How it ended, whether it succeeded or not: look at `status`. Goes on over reconnects and server restarts.

        Raises:
            ChainWaitTimeout: not within `timeout` seconds.
            Refused: the server has no stream of chains, or this user may not read it.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        async with StreamWatch(self._session.links, self._subject) as watch:
            while True:
                stored = await watch.read(self._read_last, None)
                told = self._told(stored) if stored is not None else None
                if told is not None and told.status in CHAIN_TERMINAL:
                    return told
                if not await watch.news(deadline):
                    raise ChainWaitTimeout(self._kind, self._name, timeout or 0.0)

    async def follow(self, every_s: float = 1.0) -> AsyncGenerator[S, None]:
        """Its status at once, then whenever it has changed, looked at at least so often; ends with its end.

        Raises:
            ApiRefused: it is not known (code 404).
        """
        loop = asyncio.get_running_loop()
        shown: S | None = None
        async with StreamWatch(self._session.links, self._subject) as watch:
            while True:
                try:
                    found = await self.status()
                except (BusError, ClientError) as error:
                    if getattr(error, "code", None) in (400, 404):
                        raise
                    _log.debug("its status is not known now", error=str(error))
                else:
                    if shown is None or _changed(found, shown):
                        shown = found
                        yield found
                    if found.status in CHAIN_TERMINAL:
                        return
                await watch.news(loop.time() + every_s)

    async def events(self) -> AsyncGenerator[S, None]:
        """The status in each of its stored events, each once and in order; ends with the end of its last round.

        Goes on over reconnects and server restarts.

        Raises:
            Refused: the server has no stream of chains, or this user may not read it.
        """
        start = 1

        async def page() -> list[Stored]:
            return await self._session.bus.pages(self._stream, self._subject, start=start, limit=_PAGE)

        async with StreamWatch(self._session.links, self._subject) as watch:
            ended = False
            while True:
                found = await watch.read(page, list[Stored]())
                for stored in found:
                    start = stored.seq + 1
                    told = self._told(stored)
                    if told is not None:
                        ended = told.status in CHAIN_TERMINAL
                        yield told
                if len(found) < _PAGE:
                    if ended:
                        return
                    await watch.news()

    async def _read_last(self) -> Stored | None:
        return await self._session.bus.last(self._stream, self._subject)

    def _told(self, stored: Stored) -> S | None:
        """The status in an event; None for the first, which is the request."""
        if stored.subject.endswith(".submitted"):
            return None
        try:
            return decode(self._status_type, stored.data)
        except WireError as error:
            _log.warning("not an event, passed over", subject=stored.subject, error=str(error))
            return None


class ChainHandle(_Handle[ChainStatus]):
    """A chain by its id. Made by `Client.submit_chain` and `Client.chain`; any number may exist."""

    _kind = "chain"
    _status_type = ChainStatus

    @property
    def chain_id(self) -> str:
        """Its id."""
        return self._name

    def _id_request(self) -> ApiRequest:
        return ChainIdRequest(chain_id=self._name)

    async def cancel(self, reason: str | None = None) -> ChainStatus:
        """End it: jobs that run are stopped, steps that wait never start. What has succeeded stays.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        request = ChainCancelRequest(chain_id=self._name, reason=reason)
        return await self._session.api("chain_cancel", request, ChainStatus)

    async def download(
        self,
        directory: Path | str,
        *,
        steps: list[str] | None = None,
        partial: bool = False,
        overwrite: bool = False,
        timeout: float | None = None,
    ) -> dict[str, list[Path]]:
        """Wait for its end and write the files of its steps to `directory/<job_id>/<name>`, as `JobHandle.download`.

        Args:
            directory: holds a folder for each step's job.
            steps: the steps whose files are wanted; None for all.
            partial: of a chain that did not succeed the files of the steps that did.
            overwrite: replace other files that have the names of these.
            timeout: seconds to wait for its end; None waits for ever.

        Returns:
            The files of each step, by its name.

        Raises:
            ChainFailed: it did not succeed, and `partial` was not asked for.
            ChainWaitTimeout: no end in time.
            ValueError: `steps` names one that it does not have.
            And what `JobHandle.download` raises.
        """
        status = await self.wait(timeout)
        if status.status != "succeeded" and not partial:
            raise ChainFailed(status)
        unknown = sorted(set(steps or ()) - {step.name for step in status.steps})
        if unknown:
            raise ValueError(f"chain {self._name} has no step {unknown[0]!r}")
        wanted = [step for step in status.steps if step.status == "succeeded" and (not steps or step.name in steps)]
        return {
            step.name: await JobHandle(self._session, step.job_id, step.feature).download(
                directory, overwrite=overwrite
            )
            for step in wanted
        }


class GroupHandle(_Handle[GroupStatus]):
    """A group by its id. Made by `Client.submit_group` and `Client.group`; any number may exist."""

    _kind = "group"
    _status_type = GroupStatus

    @property
    def group_id(self) -> str:
        """Its id."""
        return self._name

    def _id_request(self) -> ApiRequest:
        return GroupIdRequest(group_id=self._name)

    async def cancel(self, reason: str | None = None) -> GroupStatus:
        """End all of its jobs that have not ended.

        Raises:
            ApiRefused, NoLeader, Disconnected
        """
        request = GroupCancelRequest(group_id=self._name, reason=reason)
        return await self._session.api("group_cancel", request, GroupStatus)

    async def jobs(self) -> list[JobHandle]:
        """Handles on its jobs, in the order of the request. Errors as `status`."""
        return [JobHandle(self._session, job.job_id, job.feature) for job in (await self.status()).jobs]


def _changed(found: ChainStatus | GroupStatus, shown: ChainStatus | GroupStatus) -> bool:
    """True if more than the time of the answer differs."""
    if isinstance(found, ChainStatus) and isinstance(shown, ChainStatus):
        return (found.status, found.round, found.cancelling, found.steps) != (
            shown.status,
            shown.round,
            shown.cancelling,
            shown.steps,
        )
    return (found.status, found.round, found.fraction) != (shown.status, shown.round, shown.fraction) or (
        isinstance(found, GroupStatus) and isinstance(shown, GroupStatus) and found.counts != shown.counts
    )
