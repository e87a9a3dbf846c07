"""Requests and answers of the micro services: `p3d.api.*` and `p3d.agents.<id>.ctl.*`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .bounds import Duration, Megabytes
from .commands import Reason
from .messages import Advert, Status
from .size_classes import SizeClass
from .variants import Variant


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what people send: unknown fields are refused."""

    v: int = 1


class JobRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`status` and `explain`."""

    job_id: str


class CancelRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cancel`."""

    job_id: str
    reason: str | None = None


class ListRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`list`: filters and a page, the newest jobs first. `after` is the `next` of the page before."""

    status: str | None = None
    feature: str | None = None
    tenant: str | None = None
    #: Submitted then or later, RFC 3339.
    since: str | None = None
    limit: int = 100
    after: str | None = None


class EmptyRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`features`, `agents`, and the `ctl.status` of a coordinator."""


class ControlRequest(ApiRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ctl.status`, `ctl.drain`, `ctl.undrain` of an agent."""

    #: The agent that is meant. Another one refuses: `nats micro req p3d-agent drain` reaches any one of them.
    agent_id: str | None = None


class LoadRequest(ControlRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ctl.load` and `ctl.unload`: keep an adapter warm on a device, or free it."""

    adapter_id: str
    #: Null: the agent chooses (load), or all devices (unload).
    device: str | None = None
    #: Null, or left out: the best that there is room for (load), or all variants (unload). It is never sent as null:
    #: agents of earlier versions refuse a field that they do not know.
    variant: str | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def wanted_variant(self) -> str | None:
        """The variant that is meant, or None."""
        return self.variant if isinstance(self.variant, str) else None


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `list`; `next` is null on the last page, which alone says that there are no more jobs."""

    jobs: list[Status]
    next: str | None = None


class TenantTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Where a waiting job's tenant stands among the tenants with jobs of that priority."""

    tenant: str
    #: 1: the next start is its.
    place: int
    #: Those before it, the next first; at most eight are named.
    before: list[str] = []
    #: Jobs of the tenant that bid like this one and are before it.
    own_before: int
    #: Its jobs that wait and that are out on agents, all priorities together.
    queued: int
    running: int
    #: As many may be out at a time; null for any number.
    max_running: int | None = None
    weight: float = 1.0


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `explain`: why a job is not running (or where it runs)."""

    status: str
    summary: str
    reasons: list[Reason] = []
    #: Of a job that waits and does not pause.
    turn: TenantTurn | None = None
    #: Jobs that have not ended and whose results its inputs name: it is held until they have.
    waits_for: list[str] = []
    #: Of the step of a chain, or the job of a group, that is not published as a job: whose it is.
    tenant: str | None = None
    #: How large its files are; null without files, and where that is not known.
    size_class: SizeClass | None = None
    #: Where it runs, or is to: what jobs of that size took there, as the bid said; null where none was measured.
    expected_run_s: Duration | None = None
    expected_mb: Megabytes | None = None


class FeatureAdapter(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter that serves a feature somewhere in the fleet."""

    adapter_id: str
    #: JSON Schema of its inputs, or null when it takes any keys.
    parameters: dict[str, Any] | None
    available: bool
    #: The sizes in which it can be loaded somewhere in the fleet, the best first; empty for one size only.
    variants: list[Variant] = []


class FeatureInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One feature: what it requires (alternatives joined by `|`) and who serves it."""

    feature: str
    required: list[str]
    adapters: list[FeatureAdapter]


class FeatureList(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `features`."""

    features: list[FeatureInfo]


class AgentList(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `agents`."""

    agents: list[Advert]


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `ctl.drain`, `undrain`, `load` and `unload`: what the agent will do."""

    agent_id: str
    draining: bool
    message: str


class CoordinatorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a coordinator's `ctl.status`."""

    v: int = 1
    coordinator_id: str
    role: Literal["leading", "standby"]
    #: Number of its term, null on standby.
    epoch: int | None = None
    #: Jobs that have not ended, as it knows them; null on standby.
    unfinished_jobs: int | None = None
    host: str
    pid: int
    version: str
    #: When its process began, RFC 3339.
    started_at: str


def endpoint_metadata(text: str, request: type[msgspec.Struct], schema: str, answer: str) -> dict[str, str]:
    """What an endpoint says of itself in `nats micro info`.

    Args:
        text: what it does.
        request: the type of its request, whose fields are told; `?` marks those that may be left out.
        schema: name of the request's schema among the files in contracts/schema, without `.json`.
        answer: the same of the answer.
    """
    fields = [field.name + ("" if field.required else "?") for field in msgspec.structs.fields(request)]
    told = ", ".join(name for name in fields if name != "v?")
    return {"description": text, "request": f"{{{told}}}", "schema": f"{schema}.json", "answer": f"{answer}.json"}


class ApiError(msgspec.Struct, frozen=True, kw_only=True):
    """Error body; the same text and code are in `Nats-Service-Error` and `Nats-Service-Error-Code`."""

    error: str
    code: int
    field: str | None = None
