"""The table of features, aliases and required inputs."""

from __future__ import annotations

import pytest

from pocket3d.contracts.features import (
    FEATURE_PATTERN,
    KNOWN_FEATURES,
    canonical,
    is_built_in,
    missing_input,
    output_key,
    required_inputs,
)

#: The table as the wire documents it: feature -> aliases.
TABLE = {
    "text_to_mesh": {"text_to_textured_mesh", "text_to_raw_mesh"},
    "image_to_mesh": {"image_to_textured_mesh", "image_to_raw_mesh"},
    "image_to_splat": set(),
    "multimodal_to_mesh": set(),
    "text_to_texture": {"text_mesh_painting"},
    "image_to_texture": {"image_mesh_painting"},
    "mesh_segmentation": set(),
    "auto_rig": {"auto_rigging"},
    "part_completion": set(),
    "mesh_conversion": set(),
    "mesh_retopology": set(),
    "uv_unwrapping": set(),
    "mesh_simplification": set(),
    "echo": set(),
}


def test_the_table() -> None:
    assert {f.name: set(f.aliases) for f in KNOWN_FEATURES} == TABLE


@pytest.mark.parametrize(("name", "alias"), [(n, a) for n, aliases in TABLE.items() for a in sorted(aliases)])
def test_an_alias_is_its_feature(name: str, alias: str) -> None:
    assert canonical(alias) == name
    assert is_built_in(alias)
    assert required_inputs(alias) == required_inputs(name)


def test_every_name_is_a_subject_token_and_stands_once() -> None:
    names = [name for f in KNOWN_FEATURES for name in (f.name, *f.aliases)]
    assert len(names) == len(set(names))
    assert all(FEATURE_PATTERN.fullmatch(name) for name in names)


def test_other_features_stay_as_they_are() -> None:
    assert canonical("my_own") == "my_own"
    assert not is_built_in("my_own")
    assert required_inputs("my_own") == ()
    assert missing_input("my_own", {}) is None


def test_alternatives_are_met_by_one_of_them() -> None:
    assert missing_input("image_to_mesh", {}) == ("image_path", "image_paths")
    assert missing_input("image_to_mesh", {"image_paths": ["x"]}) is None
    assert missing_input("image_to_mesh", {"image_path": "", "image_paths": []}) == ("image_path", "image_paths")
    assert missing_input("text_to_texture", {"mesh_path": "x"}) == ("text_prompt",)


def test_each_feature_names_the_file_that_was_asked_for() -> None:
    assert output_key("image_to_splat") == "output_splat_path"
    assert output_key("text_to_raw_mesh") == "output_mesh_path"
    assert output_key("echo") is None and output_key("my_own") is None
