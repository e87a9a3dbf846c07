"""The four systems by the guide's names: its blocks that make them, and its `models.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.adapters.registry import adapter_registry, register_all_adapters
from pocket3d.gpu_agents.io.describe import DeclaredAdapter, describe_adapters
from pocket3d.ops.scheduler import GPUMonitor, ModelScheduler
from support.guide_source import adapted, blocks, run


async def test_block_6_the_dictionaries_configure_adapters() -> None:
    names = await run(adapted(6))
    register_all_adapters()
    for adapter_ids, name, family in (
        (["trellis-text-to-mesh", "trellis-image-to-mesh"], "trellis_config", "trellis"),
        (["hunyuan3d-text-to-mesh", "hunyuan3d-image-to-mesh"], "hunyuan_config", "hunyuan3d"),
        (["unirig-auto-rigging"], "unirig_config", "unirig"),
    ):
        given: dict[str, Any] = names[name]
        for adapter_id in adapter_ids:
            adapter = adapter_registry.create_adapter_instance(adapter_id, **given)
            assert adapter.constructor_arguments == given
            said = (adapter.model_id, adapter.vram_requirement, adapter.max_concurrent)
            assert said == (given["model_id"], given["vram_requirement"], given["max_concurrent"])
            assert str(getattr(adapter, f"{family}_root")) == given[f"{family}_root"]


async def test_the_models_yaml_loads_and_its_adapters_are_listed(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(blocks("yaml")[0])
    models = load_models_yaml(file)
    trellis, hunyuan = (each.spec for each in models.adapters[-2:])
    assert (trellis.adapter_id, trellis.class_path) == (
        "trellis-text-to-mesh",
        "pocket3d.adapters.upstream.trellis.adapter.TrellisTextToMeshAdapter",
    )
    assert (hunyuan.adapter_id, hunyuan.class_path) == (
        "hunyuan3d-text-to-mesh",
        "pocket3d.adapters.upstream.hunyuan3d.adapter.Hunyuan3DTextToMeshAdapter",
    )
    assert trellis.config["vram_requirement"] == 6144
    assert hunyuan.config["hunyuan3d_root"].endswith("thirdparty/Hunyuan3D-2")
    assert models.preferred == {
        "text_to_mesh": ["trellis-text-to-mesh"],
        "image_to_mesh": ["hunyuan3d-image-to-mesh"],
        "auto_rig": ["unirig-auto-rigging"],
        "mesh_segmentation": ["partfield-segmentation"],
    }
    described = await describe_adapters([DeclaredAdapter(spec=trellis), DeclaredAdapter(spec=hunyuan)])
    assert [(each.feature, each.available) for each in described] == [("text_to_mesh", False)] * 2
    assert all("accept_license" in str(each.reason) for each in described) and described[0].vram_mb == 6144
    # With its licence accepted, what is missing is the upstream code or its packages, not our class.
    accepted = msgspec.structs.replace(trellis, accept_license=True)
    (described_again,) = await describe_adapters([DeclaredAdapter(spec=accepted)])
    assert "trellis_root" in str(described_again.reason)


@pytest.mark.e2e
async def test_block_5_an_adapter_whose_environment_is_missing_is_listed_with_its_reason() -> None:
    async with ModelScheduler(GPUMonitor(devices="fixed:24576")) as scheduler:
        await run(adapted(5), scheduler=scheduler)
        (offer,) = await scheduler.models()
    assert (offer.adapter_id, offer.vram_mb, offer.available) == ("trellis-text-to-mesh", 6144, False)
    assert offer.reason


@pytest.mark.e2e
async def test_block_7_a_production_system_starts_and_lists_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKET3D_DEVICES", "fixed:24576")
    names = await run(adapted(7))
    started: ModelScheduler = await names["initialize_production_system"]()
    try:
        offers = {each.adapter_id: each for each in await started.models()}
        (device,) = await started.gpu_monitor.get_gpu_info()
        (spec,) = (await started.client.agents()).agents[0].devices
    finally:
        await started.stop()
    assert {each: offers[each].feature for each in offers} == {
        "trellis-text-to-mesh": "text_to_mesh",
        "hunyuan3d-text-to-mesh": "text_to_mesh",
        "hunyuan3d-image-to-mesh": "image_to_mesh",
        "unirig-auto-rigging": "auto_rig",
        "partfield-segmentation": "mesh_segmentation",
    }
    for adapter_id in ("hunyuan3d-text-to-mesh", "hunyuan3d-image-to-mesh", "partfield-segmentation"):
        assert "accept_license" in str(offers[adapter_id].reason)
    assert not any(offer.available for offer in offers.values())
    assert (device["total_memory"], spec.buffer_mb) == (24576, 1024)
    assert "trellis-text-to-mesh" in adapter_registry.adapter_ids()
