"""What the demo does where the fleet cannot run all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pocket3d.bus.client import Client
from pocket3d.contracts.api import FeatureAdapter, FeatureInfo, FeatureList
from pocket3d.ops.up.demo import DemoPlan, Request, _work
from pocket3d.ops.up.supervisor import NotReady


class Fleet:
    """Serves one feature by an adapter that lacks something."""

    async def features(self) -> FeatureList:
        broken = FeatureAdapter(adapter_id="photo", parameters=None, available=False)
        return FeatureList(features=[FeatureInfo(feature="image_to_mesh", required=[], adapters=[broken])])


async def test_it_says_what_it_leaves_out(tmp_path: Path) -> None:
    said: list[str] = []
    requests: list[Any] = [Request("image_to_mesh", "coffee", {}), Request("auto_rig", "bones", {})]
    with pytest.raises(NotReady, match="no adapter here can run any of the demo's jobs"):
        await _work(cast(Client, Fleet()), requests, DemoPlan(tmp_path), said.append)
    assert said == [
        "left out: coffee: no adapter here can run image_to_mesh",
        "left out: bones: no adapter here can run auto_rig",
    ]
