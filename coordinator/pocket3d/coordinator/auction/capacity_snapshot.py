"""What of an agent's advert tells that a job which found no place before might find one now. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pocket3d.contracts.messages import Advert


class CapacitySnapshot(NamedTuple):
    """The part of an advert that matters for placing jobs."""

    kind: tuple[str, bool, int]
    tokens: frozenset[str]
    #: Adapter, variant, device.
    residents: frozenset[tuple[str, str | None, str]]
    #: Device -> MB neither used nor promised.
    rooms: dict[str, int]
    #: It says itself why it takes no job now.
    pauses: bool
    #: Devices in quarantine.
    quarantined: frozenset[str] = frozenset()

    @staticmethod
    def of(advert: Advert, *, adapters: int) -> CapacitySnapshot:
        """That part of an advert of an agent with so many adapters."""
        return CapacitySnapshot(
            kind=(advert.incarnation, advert.draining, adapters),
            tokens=frozenset(r.token for r in advert.running if r.on_device),
            residents=frozenset((r.adapter_id, r.variant, r.device) for r in advert.residents),
            rooms={d.id: d.free_mb - d.reserved_mb for d in advert.devices},
            pauses=advert.reason is not None,
            quarantined=frozenset(d.id for d in advert.devices if d.quarantine is not None),
        )

    def may_unblock(self, former: CapacitySnapshot | None) -> bool:
        """True if a job that found no place before might find one now.

        Measured free VRAM flickers with other processes: it counts from the former low on, in steps of 256 MB.
        """
        if former is None or self.kind != former.kind:
            return True
        if (former.pauses and not self.pauses) or former.tokens - self.tokens or self.residents - former.residents:
            return True
        if former.quarantined - self.quarantined:
            return True
        return any(room >= former.rooms.get(device, 0) + 256 for device, room in self.rooms.items())
