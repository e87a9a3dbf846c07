"""The coordinator's picture of the agents: their last adverts, less its own awards in flight. A hint, not a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pocket3d.contracts.bounds import decimal
from pocket3d.contracts.commands import AgentRecord, Reason
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.features import is_built_in
from pocket3d.contracts.fit import Need, Room, fits
from pocket3d.contracts.messages import AdapterOffer, Advert, DeviceState
from pocket3d.contracts.parameters import CheckCache, ParameterCheck
from pocket3d.contracts.variants import choices

from ..engine.job import Attempt, GroupKey
from ..settings import CoordinatorSettings
from . import licences
from .answer_times import AnswerTimes
from .benches import Benches
from .capacity_snapshot import CapacitySnapshot
from .licences import Licences, allows
from .variant_offers import in_some_variant, why_no_variant


def started_ms(incarnation: str) -> int:
    """When an incarnation of an agent began, Unix milliseconds; 0 where its name does not say."""
    return decimal(incarnation.partition("-")[0]) or 0


class WorkerUse(NamedTuple):
    """Attempts on one worker, and whether one of them must have it for itself."""

    runs: int
    apart: bool


class Booking(NamedTuple):
    """An attempt that this coordinator has out on an agent."""

    job_id: str
    attempt: Attempt


class AgentView:
    """One agent as it was last seen: `Fleet.update` says what there is."""

    def __init__(self) -> None:
        self.advert: Advert
        self.adapters: dict[str, AdapterOffer] = {}
        self.preferred: dict[str, list[str]] = {}
        #: When its last advert came, or leases began again, monotonic seconds.
        self.last_seen: float
        #: When "no responders" was answered, monotonic seconds.
        self.no_responder_times: list[float] = []
        self.asked = False
        #: When it was last asked what it runs, monotonic seconds; None if it never was.
        self.asked_at: float | None = None
        self.answer_times = AnswerTimes()
        #: Rises when something changed that could place a job.
        self.version: int
        self.picture: CapacitySnapshot | None = None
        #: By token.
        self.attempts: dict[str, Booking] = {}
        #: Listed tokens of jobs that are not known, seen once: at the second time they are cancelled.
        self.unknown_attempts: set[str] = set()
        #: Tokens listed by its last advert.
        self.listed: frozenset[str] = frozenset()

    @property
    def agent_id(self) -> str:
        """The agent's id."""
        return self.advert.agent_id

    def device(self, device_id: str) -> DeviceState | None:
        """One of the agent's devices, by id."""
        return next((d for d in self.advert.devices if d.id == device_id), None)

    def workers(self) -> dict[tuple[str, str, str | None], WorkerUse]:
        """By device, adapter and variant, what this coordinator has out there."""
        used: dict[tuple[str, str, str | None], WorkerUse] = {}
        for _, attempt in self.attempts.values():
            place = attempt.device, attempt.adapter_id, attempt.variant
            former = used.get(place, WorkerUse(0, apart=False))
            used[place] = WorkerUse(former.runs + 1, former.apart or attempt.apart)
        return used

    def serving(self, key: GroupKey) -> Iterator[AdapterOffer]:
        """Adapters that could serve a lot: by preference list if binding, else by feature."""
        for offer in self.adapters.values():
            if offer.adapter_id in key.unfit or not allows(offer, key) or not in_some_variant(offer, key):
                continue
            if key.preferred is not None:
                # Of one that cannot be imported the feature may not even be known; it is named, so it is meant.
                if offer.adapter_id in key.preferred and (offer.feature == key.canonical or not offer.available):
                    yield offer
            elif offer.feature == key.canonical:
                yield offer

    def composition(self) -> object:
        """The facts that decide whether a job could ever run on this agent."""
        return (
            self.advert.incarnation,
            self.advert.draining,
            tuple((d.id, d.kind, d.total_mb, d.buffer_mb) for d in self.advert.devices),
            tuple(
                (a.adapter_id, a.feature, a.vram_mb, a.available, tuple(a.devices), a.commercial, tuple(a.variants))
                for a in self.adapters.values()
            ),
        )


class Fleet:
    """All agents. `version` rises with any change that could place a job, `composition` when an agent comes, goes, or
    has other devices or adapters.
    """

    def __init__(self, settings: CoordinatorSettings) -> None:
        self.agents: dict[str, AgentView] = {}
        self.features: set[str] = set()
        self.benches = Benches(settings)
        self.version = 0
        self.composition = 0
        #: Results are taken from agents only that propose them.
        self.proposals_wanted = False
        self._checks = CheckCache()
        #: Feature -> adapter -> the checks that its agents declare; made when first asked for, None when out of date.
        self._checks_of: dict[str, dict[str, tuple[ParameterCheck | None, ...]]] | None = None
        self._licences = Licences()

    def checks_of(self, canonical: str) -> dict[str, tuple[ParameterCheck | None, ...]]:
        """By adapter, what the present agents declare of its parameters. Those that cannot run and declare nothing
        (they could not be asked) are left out.
        """
        if self._checks_of is None:
            made: dict[str, dict[str, dict[int, ParameterCheck | None]]] = {}
            for view in self.agents.values():
                for offer in view.adapters.values():
                    if offer.available or offer.parameters is not None:
                        check = self._checks.of(offer.parameters)
                        made.setdefault(offer.feature, {}).setdefault(offer.adapter_id, {})[id(check)] = check
            self._checks_of = {f: {a: tuple(c.values()) for a, c in ids.items()} for f, ids in made.items()}
        return self._checks_of.get(canonical, {})

    def all_forbid_commercial_use(self, canonical: str, preferred: tuple[str, ...] | None) -> list[str]:
        """See `Licences.all_forbid`."""
        known = (view.adapters for view in self.agents.values())
        return self._licences.all_forbid(self.composition, known, canonical, preferred)

    def update(self, advert: Advert, now_mono: float) -> tuple[AgentView, bool] | None:
        """Take in an advert: the agent and whether this is a new life of it. None if a newer one is known."""
        view = self.agents.get(advert.agent_id)
        restarted = view is None or view.advert.incarnation != advert.incarnation
        if view is not None and restarted and started_ms(advert.incarnation) < started_ms(view.advert.incarnation):
            # Two agents with one id: the later start has it.
            return None
        if view is not None and not restarted and advert.seq <= view.advert.seq:
            return None
        before = view.composition() if view is not None else None
        if view is None or restarted:
            fresh = AgentView()
            if view is not None:
                fresh.attempts = view.attempts
            view = self.agents[advert.agent_id] = fresh
            self._checks_of = None
        view.advert = advert
        view.last_seen = now_mono
        view.no_responder_times = []
        view.listed = frozenset(r.token for r in advert.running)
        if advert.adapters is not None:
            listed = {a.adapter_id: a for a in advert.adapters}
            if listed != view.adapters:
                view.adapters = listed
                self._checks_of = None
            self.features.update(a.feature for a in advert.adapters)
        if advert.preferred_adapters is not None:
            view.preferred = advert.preferred_adapters
        if view.composition() != before:
            self.composition += 1
            # Other devices or adapters are news for waiting job groups too, whatever room there is.
            self.touch(view)
        self._note_change(view)
        return view, restarted

    def _note_change(self, view: AgentView) -> None:
        picture = CapacitySnapshot.of(view.advert, adapters=len(view.adapters))
        if picture.may_unblock(view.picture):
            self.touch(view)
        elif view.picture is not None:
            # Keep the low, so that room that grows slowly counts in the end.
            low = {d: min(room, view.picture.rooms.get(d, room)) for d, room in picture.rooms.items()}
            picture = picture._replace(rooms=low)
        view.picture = picture

    def touch(self, view: AgentView) -> None:
        """Note a change on this agent that could place a job."""
        self.version += 1
        # Never one that an agent of that name had before: what it declined then says nothing of it now.
        view.version = self.version

    def want_proposals(self) -> None:
        """Take no agent that cannot propose its results."""
        if not self.proposals_wanted:
            self.proposals_wanted = True
            self.composition += 1
            for view in self.agents.values():
                self.touch(view)

    def lose(self, agent_id: str) -> AgentView | None:
        """Remove an agent; returns its last view, or None."""
        view = self.agents.pop(agent_id, None)
        if view is not None:
            self._checks_of = None
            self.version += 1
            self.composition += 1
        return view

    def begin_leases_again(self, now_mono: float) -> None:
        """Begin all leases again: after a pause or a reconnect no agent counts as late."""
        for view in self.agents.values():
            view.last_seen = now_mono
            view.no_responder_times = []
            view.answer_times.begin_again()

    # -- attempts out on agents

    def book(self, attempt: Attempt, job_id: str) -> None:
        """Book an award that goes out."""
        view = self.agents.get(attempt.agent_id)
        if view is not None:
            view.attempts[attempt.token] = Booking(job_id, attempt)

    def release(self, attempt: Attempt) -> None:
        """Release an attempt that ended: its agent may have room again."""
        view = self.agents.get(attempt.agent_id)
        if view is not None and view.attempts.pop(attempt.token, None) is not None:
            self.touch(view)

    def release_benches(self, now_mono: float) -> None:
        """Pauses that are over count as a change of the picture."""
        for agent_id in self.benches.release(now_mono, self.agents):
            self.touch(self.agents[agent_id])

    # -- questions

    def knows_feature(self, canonical: str) -> bool:
        """True for features of the table and those that any agent ever advertised."""
        return is_built_in(canonical) or canonical in self.features

    def remember_features(self, features: Iterable[str]) -> None:
        """Take over the features that a former leader knew."""
        self.features.update(features)

    def largest_room_mb(self) -> int:
        """The most VRAM that any one device could ever give, MB."""
        return max(
            (d.total_mb - d.buffer_mb for v in self.agents.values() for d in v.advert.devices),
            default=0,
        )

    def obstacles(self, view: AgentView, key: GroupKey, now_mono: float) -> list[Reason]:
        """The reasons why this agent is not invited for a lot; empty if it is."""
        agent_id = view.agent_id
        if view.advert.draining:
            return [Reason(agent_id=agent_id, code=DeclineCode.DRAINING.value, message=view.advert.reason)]
        if self.proposals_wanted and not view.advert.proposes:
            advice = "its version cannot store results on this server: upgrade it"
            return [Reason(agent_id=agent_id, code=DeclineCode.DRAINING.value, message=advice)]
        offers = list(view.serving(key))
        if not offers:
            unfit = [a for a in key.unfit if a in view.adapters and view.adapters[a].feature == key.canonical]
            if unfit:
                return [Reason(agent_id=agent_id, code=DeclineCode.PARAMETERS.value, adapter_id=unfit[0])]
            others = list(view.serving(key._replace(commercial_only=False)))
            if others:
                return [licences.reason(agent_id, others[0])]
            text = why_no_variant(view.serving(key._replace(variant=None, raised=())), key)
            return [Reason(agent_id=agent_id, code=DeclineCode.NO_ADAPTER.value, message=text)]
        reasons: list[Reason] = []
        for offer in offers:
            if not offer.available:
                why = DeclineCode.ADAPTER_UNAVAILABLE.value
                reasons.append(Reason(agent_id=agent_id, adapter_id=offer.adapter_id, code=why, message=offer.reason))
                continue
            ways = [choice.variant for choice in choices(offer, key.wish)]
            short = self._never_fits(view, offer, key) or self._shut_everywhere(view, offer, ways, now_mono)
            if not short:
                return []
            reasons += short
        return reasons

    def shut(
        self, view: AgentView, device: DeviceState, adapter_id: str, variant: str | None, now_mono: float
    ) -> Reason | None:
        """Why an adapter gets no job on a device in that variant, however much room it has; None if it may get one."""
        left_s = self.benches.left_s(view.agent_id, device.id, adapter_id, now_mono, variant)
        if device.quarantine is not None:
            code, text = DeclineCode.QUARANTINED, device.quarantine
        elif left_s > 0.0:
            code, text = DeclineCode.BENCHED, f"paused on this device for {left_s:.0f} s more after failures in a row"
        else:
            return None
        return Reason(
            agent_id=view.agent_id,
            device=device.id,
            adapter_id=adapter_id,
            variant=variant,
            code=code.value,
            message=text,
        )

    def _shut_everywhere(
        self, view: AgentView, offer: AdapterOffer, ways: list[str | None], now_mono: float
    ) -> list[Reason]:
        """One reason per device on which it could run when it gets no job on any of them in any of these variants; else
        nothing.
        """
        reasons: list[Reason] = []
        for device in view.advert.devices:
            if device.kind in offer.devices:
                found = [self.shut(view, device, offer.adapter_id, each, now_mono) for each in ways]
                shut = [reason for reason in found if reason is not None]
                if len(shut) < len(found):
                    return []
                reasons += shut[:1]
        return reasons

    def shut_out(self, view: AgentView, now_mono: float) -> list[str]:
        """Adapters of an agent that get no job on any of its devices."""
        if not len(self.benches) and all(device.quarantine is None for device in view.advert.devices):
            return []
        return [
            each.adapter_id
            for each in view.adapters.values()
            if self._shut_everywhere(view, each, [v.name for v in each.variants] or [None], now_mono)
        ]

    def _never_fits(self, view: AgentView, offer: AdapterOffer, key: GroupKey) -> list[Reason]:
        """One reason per device when no device could hold it even when empty; else nothing."""
        # Of a variant too large for this agent, another may do.
        least = min(choices(offer, key.wish), key=lambda choice: choice.need_mb)
        reasons = []
        for device in view.advert.devices:
            empty = Room.empty(device.kind, device.total_mb, device.buffer_mb)
            short = fits(Need(least.need_mb, tuple(offer.devices)), empty)
            if short is None:
                return []
            if short.dimension == "device_kind":
                continue
            reasons.append(
                Reason(
                    agent_id=view.agent_id,
                    device=device.id,
                    adapter_id=offer.adapter_id,
                    variant=least.variant,
                    code=DeclineCode.VRAM_TOTAL.value,
                    need_mb=short.need,
                    have_mb=short.have,
                    short_mb=short.short,
                )
            )
        if not reasons:
            kinds = " or ".join(offer.devices)
            reasons.append(
                Reason(
                    agent_id=view.agent_id,
                    adapter_id=offer.adapter_id,
                    code=DeclineCode.NO_DEVICE.value,
                    message=f"runs on {kinds}, there is no such device here",
                )
            )
        return reasons

    def record(self, view: AgentView, at: str) -> AgentRecord:
        """The record of an agent for the agents bucket."""
        advert = view.advert
        return AgentRecord(
            agent_id=advert.agent_id,
            incarnation=advert.incarnation,
            host=advert.host,
            version=advert.version,
            draining=advert.draining,
            devices=[
                {"id": d.id, "kind": d.kind, "name": d.name, "total_mb": d.total_mb, "buffer_mb": d.buffer_mb}
                for d in advert.devices
            ],
            adapters=sorted(a.adapter_id for a in view.adapters.values() if a.available),
            features=sorted({a.feature for a in view.adapters.values()}),
            at=at,
        )
