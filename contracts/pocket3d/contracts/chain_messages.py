"""What the system says of chains and groups: their status, which is also the body of their events."""

from __future__ import annotations

from typing import Literal

import msgspec

from .api import ApiRequest
from .bounds import Count
from .messages import Artifact, Message

ChainWord = Literal["queued", "running", "succeeded", "failed", "cancelled"]
#: Of one step: `waiting` for those whose files it takes.
StepWord = Literal["waiting", "queued", "running", "succeeded", "failed", "cancelled"]
#: The last token of the subject of an event. `submitted` has the request as its body, all others the status.
ChainEventWord = Literal["submitted", "step", "cancelling", "retried", "succeeded", "failed", "cancelled"]
CHAIN_TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class ChainIdRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`chain_status` and `chain_retry`."""

    chain_id: str


class ChainCancelRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`chain_cancel`."""

    chain_id: str
    reason: str | None = None


class GroupIdRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`group_status` and `group_retry`."""

    group_id: str


class GroupCancelRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`group_cancel`."""

    group_id: str
    reason: str | None = None


class ChainListRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`chain_list` and `group_list`: a page, the newest first. `after` is the `next` of the page before."""

    status: str | None = None
    tenant: str | None = None
    limit: int = 20
    after: str | None = None


class StepError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step did not succeed."""

    code: str
    message: str
    #: Dotted path of the input at fault.
    field: str | None = None


class StepStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one step of a chain stands."""

    name: str
    feature: str
    #: Its job: status, progress, result and files are found under this id.
    job_id: str
    status: StepWord
    reason: str | None = None
    #: Of the running job, 0..1, and what it does; null where it does not say.
    fraction: float | None = None
    stage: str | None = None
    agent_id: str | None = None
    device: str | None = None
    adapter_id: str | None = None
    error: StepError | None = None
    #: The files that it made; in the answer of `chain_status` and in the event of the chain's end.
    artifacts: list[Artifact] = []


class ChainStatus(Message, frozen=True, kw_only=True):
    """Where a chain stands: the answer about it, and the body of all of its events but the first."""

    chain_id: str
    status: ChainWord
    #: 1, and one more for each retry.
    round: Count = 1
    tenant: str
    priority: str
    #: How much is done, 0..1: each step counts alike.
    fraction: float
    #: Somebody asked for its end.
    cancelling: bool = False
    #: Why it was cancelled.
    reason: str | None = None
    steps: list[StepStatus]
    #: The artifacts of all steps did not fit into the message: they are in the steps' own results.
    artifacts_left_out: bool = False
    #: When this was said, and when the chain was submitted, RFC 3339.
    at: str
    submitted_at: str


class GroupJobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where one job of a group stands."""

    job_id: str
    feature: str
    status: StepWord
    #: Of its failure.
    code: str | None = None


class GroupStatus(Message, frozen=True, kw_only=True):
    """Where a group stands: the answer about it, and the body of all of its events but the first."""

    group_id: str
    status: ChainWord
    round: Count = 1
    tenant: str
    fraction: float
    cancelling: bool = False
    reason: str | None = None
    #: How many jobs have each status; words that no job has are left out.
    counts: dict[str, Count]
    #: In the order of the request.
    jobs: list[GroupJobStatus]
    at: str
    submitted_at: str


class ChainList(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `chain_list`; `next` is null on the last page. Steps come without their artifacts."""

    chains: list[ChainStatus]
    next: str | None = None


class GroupList(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `group_list`; the jobs of each are left out, its counts are there."""

    groups: list[GroupStatus]
    next: str | None = None
