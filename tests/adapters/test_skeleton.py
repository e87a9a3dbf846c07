"""What `pocket3d adapters new` writes, by feature: it is Python, and gives back a mesh where the feature takes one."""

from __future__ import annotations

import ast

import pytest

from pocket3d.adapters.kit.skeleton import skeleton_files
from pocket3d.contracts.features import KNOWN_FEATURES

TAKES_MESH = {"text_to_texture", "image_to_texture", "mesh_segmentation", "part_completion", "auto_rig"}
TAKES_MESH |= {"mesh_retopology", "uv_unwrapping", "mesh_simplification"}
FEATURES = [each.name for each in KNOWN_FEATURES if each.name not in ("mesh_conversion", "echo")]


@pytest.mark.parametrize("feature", sorted([*FEATURES, "own_feature"]))
def test_each_feature_has_a_skeleton(feature: str) -> None:
    files = skeleton_files("my-model", feature)
    adapter = files["src/my_model/adapter.py"]
    for name, text in files.items():
        if name.endswith(".py"):
            ast.parse(text)
    assert ("shutil" in adapter) == (feature in TAKES_MESH), "the placeholder gives the mesh back as it came"
    made = "write_sample_splat" if feature == "image_to_splat" else "write_sample_mesh"
    assert (made in adapter) == (feature not in TAKES_MESH)
