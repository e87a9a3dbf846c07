"""Where a licence does not apply its adapter is not available."""

from __future__ import annotations

import pytest

from pocket3d.contracts.worker_frames import AdapterDescription
from pocket3d.gpu_agents.placement.territory import allowed_here
from pocket3d.gpu_agents.settings import AgentSettings

ADAPTER = AdapterDescription(
    adapter_id="x",
    available=True,
    excluded_territories=["EU", "DE", "GB", "KR"],
    license={"code": "y", "territory": "not in the European Union, the United Kingdom or South Korea"},
)


@pytest.mark.parametrize("territory", ["DE", "EU", "GB", "UK", "KR"])
def test_an_excluded_territory_makes_it_unavailable_with_the_reason(territory: str) -> None:
    judged = allowed_here(ADAPTER, territory)
    assert not judged.available and judged.reason is not None
    assert territory in judged.reason and "South Korea" in judged.reason and "territory" in judged.reason


@pytest.mark.parametrize("territory", [None, "US", "CH"])
def test_elsewhere_it_stays_as_it_is(territory: str | None) -> None:
    assert allowed_here(ADAPTER, territory) is ADAPTER


def test_the_setting_is_a_countrys_code() -> None:
    assert AgentSettings(territory="DE").territory == "DE" and AgentSettings().territory is None
    for wrong in ("Germany", "de", ""):
        with pytest.raises(ValueError, match="want a country's code of ISO 3166-1"):
            AgentSettings(territory=wrong)
