"""Which adapters may not be used where this host is."""

from __future__ import annotations

from msgspec import structs

from pocket3d.contracts.worker_frames import AdapterDescription

#: Reserved in ISO 3166-1 beside the country's own code.
_OTHER_CODES = {"UK": "GB"}


def allowed_here(adapter: AdapterDescription, territory: str | None) -> AdapterDescription:
    """The description, unavailable if its licence excludes the territory (a code of ISO 3166-1; None if not known)."""
    if territory is None or _OTHER_CODES.get(territory, territory) not in adapter.excluded_territories:
        return adapter
    words = (adapter.license or {}).get("territory")
    why = f"its licence does not apply in {territory}, where this host is (the agent's setting territory)"
    return structs.replace(adapter, available=False, reason=f"{why}: {words}" if words else why)
