"""The former system's `models.yaml`, in our form."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocket3d.adapters.catalogue.models_yaml import load_models_yaml
from pocket3d.adapters.catalogue.parent_yaml import ModelsFileError, convert_parent_models

OLD = """
text_to_textured_mesh:
  trellis_text_to_textured_mesh:
    vram_requirement: 11776  # MB
    supported_inputs: ["text"]
    supported_outputs: ["glb", "obj"]
    model_path: "thirdparty/TRELLIS"
    enabled: true
    max_workers: 2
image_to_raw_mesh:
  hunyuan3d_2_0_image_to_raw_mesh: {vram_requirement: 5120, model_path: thirdparty/Hunyuan3D-2}
  hunyuan3dv21_image_to_raw_mesh: {vram_requirement: 8192, model_path: pretrained/tencent/Hunyuan3D-2.1}
  partpacker_part_packing: {vram_requirement: 10240, model_path: thirdparty/PartPacker}
image_to_textured_mesh:
  hunyuan3d_2_0_image_to_textured_mesh: {vram_requirement: 14336, model_path: /opt/thirdparty/Hunyuan3D-2}
image_mesh_painting:
  hunyuan3d_image_mesh_painting: {vram_requirement: 12288, model_path: thirdparty/Hunyuan3D-2}
mesh_segmentation:
  partfield_mesh_segmentation: {vram_requirement: 4096, enabled: false}
auto_rig:
  unirig_auto_rig: {vram_requirement: 9216, model_path: thirdparty/UniRig, init_params: {compile: true}}
"""


def test_models_become_adapters_under_their_ids(tmp_path: Path) -> None:
    text, notes = convert_parent_models(OLD, root=Path("/srv/api"))
    file = tmp_path / "models.yaml"
    file.write_text(text)
    models = load_models_yaml(file)
    found = {each.spec.adapter_id: each.spec for each in models.adapters if "_" in each.spec.adapter_id}
    assert {adapter_id: spec.config for adapter_id, spec in found.items()} == {
        "trellis_text_to_textured_mesh": {"vram_requirement": 11776, "trellis_root": "/srv/api/thirdparty/TRELLIS"},
        "hunyuan3d_2_0_image_to_raw_mesh": {
            "texture": False,
            "vram_requirement": 5120,
            "hunyuan3d_root": "/srv/api/thirdparty/Hunyuan3D-2",
        },
        "hunyuan3dv21_image_to_raw_mesh": {
            "texture": False,
            "vram_requirement": 8192,
            "model_path": "/srv/api/pretrained/tencent/Hunyuan3D-2.1",
        },
        "hunyuan3d_2_0_image_to_textured_mesh": {
            "texture": True,
            "vram_requirement": 14336,
            "hunyuan3d_root": "/opt/thirdparty/Hunyuan3D-2",
        },
        "hunyuan3d_image_mesh_painting": {"vram_requirement": 12288},
        "unirig_auto_rig": {"vram_requirement": 9216, "unirig_root": "/srv/api/thirdparty/UniRig"},
    }
    assert found["unirig_auto_rig"].class_path == "pocket3d.adapters.upstream.unirig.adapter.UniRigAdapter"
    assert models.preferred["image_to_mesh"][:1] == ["hunyuan3d_2_0_image_to_raw_mesh"]
    assert [note.partition(":")[0] for note in notes[:5]] == [
        "trellis_text_to_textured_mesh",
        "partpacker_part_packing",
        "hunyuan3d_image_mesh_painting",
        "partfield_mesh_segmentation",
        "unirig_auto_rig",
    ]
    said = "\n".join(notes)
    for words in ("max_workers 2", "no adapter here runs that model", "not enabled", "init_params", "version 2.0"):
        assert words in said
    assert "model_preference" in said and "accept_license" in said and "make them absolute" not in said


def test_without_a_root_folders_stay_and_the_notes_say_so() -> None:
    text, notes = convert_parent_models("auto_rig: {unirig_auto_rig: {model_path: thirdparty/UniRig}}")
    assert "unirig_root: thirdparty/UniRig" in text
    assert any("make them absolute" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "want features"),
        ("- a", "want features"),
        ("auto_rig: 3", r"models.yaml:1: auto_rig: want models"),
        ("auto_rig:\n  unirig_auto_rig: 3", r"models.yaml:2: auto_rig.unirig_auto_rig: want settings"),
        ("adapters: {}", "present form already"),
        ("a: {", "not YAML"),
    ],
)
def test_what_is_not_of_the_old_form_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ModelsFileError, match=says):
        convert_parent_models(text)


def test_keys_of_every_kind_are_noted_and_folders_of_nobody_left_out() -> None:
    _, notes = convert_parent_models("auto_rig: {unirig_auto_rig: {1: a, b: c, model_path: ~nobody_of_this_name/x}}")
    assert [note for note in notes if "1 was not taken over" in note]
    assert any("no such user" in note for note in notes)
