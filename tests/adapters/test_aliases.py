"""Other names of our adapters: the guide's class paths, and the former system's class paths and ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket3d.adapters.catalogue import aliases
from pocket3d.adapters.catalogue.aliases import CLASS_ALIASES, ID_ALIASES
from pocket3d.adapters.catalogue.builtin import BUILTIN_ADAPTERS
from pocket3d.adapters.catalogue.class_loading import load_class
from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.adapters.registry import AdapterRegistry, register_all_adapters
from pocket3d.contracts.adapter_ids import FORMER_IDS, with_ours
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.subjects import ADAPTER_ID_PATTERN

PATHS = {each.adapter_id: each.class_path for each in BUILTIN_ADAPTERS}


def test_every_alias_stands_for_an_adapter_that_comes_with_the_system() -> None:
    meant = {alias.adapter_id for alias in (*CLASS_ALIASES.values(), *ID_ALIASES.values())}
    assert meant <= set(PATHS)
    assert not set(ID_ALIASES) & set(PATHS) and set(ID_ALIASES) == set(FORMER_IDS)
    assert all(ADAPTER_ID_PATTERN.fullmatch(name) for name in ID_ALIASES)


@pytest.mark.parametrize("name", [*CLASS_ALIASES, *ID_ALIASES])
def test_an_alias_can_be_built_with_what_it_implies(name: str) -> None:
    target = aliases.of_class(name) if "." in name else aliases.of_id(name)
    assert target is not None
    adapter = load_class(target.class_path)(**target.config)
    assert adapter.constructor_arguments == target.config


def test_raw_and_textured_are_one_adapter_with_another_argument() -> None:
    raw, textured = (aliases.of_id(f"hunyuan3d_2_0_image_to_{kind}_mesh") for kind in ("raw", "textured"))
    assert raw is not None and textured is not None and raw.class_path == textured.class_path
    assert (raw.config, textured.config) == ({"texture": False}, {"texture": True})


def test_a_file_of_that_name_on_the_adapters_path_is_meant_itself(tmp_path: Path) -> None:
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters" / "unirig_adapter.py").touch()
    name = "adapters.unirig_adapter.UniRigAdapter"
    assert aliases.of_class(name, [str(tmp_path)]) is None
    assert aliases.of_class(name, [str(tmp_path / "elsewhere")]) == (PATHS["unirig-auto-rigging"], {})
    assert aliases.of_class("adapters.other.Thing") is None and aliases.of_id("other") is None


def test_an_instance_under_another_name_keeps_that_name() -> None:
    registry = AdapterRegistry()
    register_all_adapters(registry)
    raw = registry.create_adapter_instance("hunyuan3d_image_to_raw_mesh", vram_requirement=8192)
    assert (raw.model_id, raw.registered_id, raw.vram_requirement) == (*["hunyuan3d_image_to_raw_mesh"] * 2, 8192)
    assert raw.feature_type == "image_to_mesh"
    assert raw.constructor_arguments == {
        "model_id": "hunyuan3d_image_to_raw_mesh",
        "texture": False,
        "vram_requirement": 8192,
    }
    registry.register_by_name("mine", "adapters.trellis_adapter.TrellisTextToTexturedMeshAdapter")
    assert registry.spec("mine", model_id="m").class_path == PATHS["trellis-text-to-mesh"]


def test_an_alias_is_an_adapter_id_in_models_yaml(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(
        """
builtins: false
adapters:
  hunyuan3d_2_0_image_to_raw_mesh: {config: {vram_requirement: 5120}}
  textured: {class: adapters.hunyuan3d_adapter_v20.Hunyuan3DV20ImageToTexturedMeshAdapter}
  mine: {class: adapters.hunyuan3d_adapter_v20.Hunyuan3DV20ImageToTexturedMeshAdapter, config: {texture: false}}
deployment:
  preferred_adapters: {auto_rig: [unirig_auto_rig]}
"""
    )
    models = load_models_yaml(file)
    found = {each.spec.adapter_id: each.spec for each in models.adapters}
    assert {spec.class_path for spec in found.values()} == {PATHS["hunyuan3d-image-to-mesh"]}
    assert found["hunyuan3d_2_0_image_to_raw_mesh"].config == {"texture": False, "vram_requirement": 5120}
    assert (found["textured"].config, found["mine"].config) == ({"texture": True}, {"texture": False})
    assert models.preferred == {"auto_rig": ["unirig_auto_rig", "unirig-auto-rigging"]}


def test_a_job_that_prefers_a_former_id_is_also_for_ours() -> None:
    assert with_ours(["a", "unirig_auto_rig", "a"]) == ("a", "unirig_auto_rig", "unirig-auto-rigging")
    assert Job(inputs={}, model_preference="unirig_auto_rig").preferred == ("unirig_auto_rig", "unirig-auto-rigging")
    assert Job(inputs={}, model_preference=["unirig-auto-rigging"]).preferred == ("unirig-auto-rigging",)
