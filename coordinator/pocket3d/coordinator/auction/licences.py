"""Whose licences allow a job that is for commercial use. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pocket3d.contracts.commands import Reason
from pocket3d.contracts.failures import DeclineCode
from pocket3d.contracts.messages import AdapterOffer

from ..engine.job import GroupKey

#: What adverts say of an adapter that may be used commercially. Any other word, also a later version's, is no yes.
_YES = "yes"
_NO = "no"


def allows(offer: AdapterOffer, key: GroupKey) -> bool:
    """True if jobs of the group may run on the adapter, as far as its licence goes."""
    return not key.commercial_only or offer.commercial == _YES


def left_out(offers: Mapping[str, AdapterOffer], key: GroupKey) -> list[str]:
    """The adapters of an agent on which they may not."""
    if not key.commercial_only:
        return []
    return [adapter_id for adapter_id, offer in offers.items() if not allows(offer, key)]


def reason(agent_id: str, offer: AdapterOffer) -> Reason:
    """That an adapter's licence is what keeps it from a job."""
    says = "forbids commercial use" if offer.commercial == _NO else "does not clearly allow commercial use"
    return Reason(
        agent_id=agent_id,
        adapter_id=offer.adapter_id,
        code=DeclineCode.LICENCE.value,
        message=f"the job is for commercial use (commercial_only), and the licence of {offer.adapter_id} {says}",
    )


def as_meant(agent_id: str, offers: Mapping[str, AdapterOffer], key: GroupKey, reasons: list[Reason]) -> list[Reason]:
    """What an agent answered, told of licences where that is why it was to leave an adapter out: agents do not judge by
    them, and say that it is kept off.
    """
    unlicensed = {each: offers[each] for each in left_out(offers, key)}
    return [
        reason(agent_id, unlicensed[each.adapter_id]) if each.adapter_id in unlicensed else each for each in reasons
    ]


class Licences:
    """What the present fleet's licences say together; made anew when the fleet is another."""

    def __init__(self) -> None:
        #: Of the fleet for which it holds.
        self._composition: int | None = None
        #: Feature -> adapter -> whether every host says that its licence forbids commercial use.
        self._forbids: dict[str, dict[str, bool]] = {}

    def all_forbid(
        self,
        composition: int,
        agents: Iterable[Mapping[str, AdapterOffer]],
        canonical: str,
        preferred: tuple[str, ...] | None,
    ) -> list[str]:
        """The known adapters that serve a feature (of the named ones, where some are), if every one's licence forbids
        commercial use. Nothing if one's allows it or does not say, or if none is known.
        """
        if composition != self._composition:
            self._composition, self._forbids = composition, {}
            for offers in agents:
                for offer in offers.values():
                    of_feature = self._forbids.setdefault(offer.feature, {})
                    former = of_feature.get(offer.adapter_id, True)
                    of_feature[offer.adapter_id] = former and offer.commercial == _NO
        known = self._forbids.get(canonical, {})
        asked = {each: forbids for each, forbids in known.items() if preferred is None or each in preferred}
        return sorted(asked) if all(asked.values()) else []
