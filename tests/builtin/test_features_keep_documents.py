"""Features that change the surface of a GLB file keep its document, and say what they took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("torch")
for package in ("trimesh", "xatlas", "fast_simplification", "pynanoinstantmeshes"):
    pytest.importorskip(package)

from PIL import Image

from pocket3d.adapters.base import BaseModel
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter
from pocket3d.adapters.weight_free.projection.adapter import ProjectionImageToTextureAdapter
from pocket3d.adapters.weight_free.retopology.adapter import InstantMeshesRetopologyAdapter
from pocket3d.adapters.weight_free.rigging.adapter import CurveSkeletonAutoRigAdapter
from pocket3d.adapters.weight_free.simplification.adapter import QuadricMeshSimplificationAdapter
from pocket3d.adapters.weight_free.texturing.adapter import ProceduralTextToTextureAdapter
from pocket3d.adapters.weight_free.unwrapping.adapter import XatlasUvUnwrappingAdapter
from support import mesh_files as files
from support.adapter_run import run
from support.full_glb import KEPT, full

pytestmark = pytest.mark.torch

COLOURS = "its colours and textures: the new ones take their place"
COORDINATES = "the texture coordinates of its base colour: keep_uv keeps them"
FEATURES: dict[str, tuple[type[BaseModel], dict[str, Any], list[str], list[str]]] = {
    "text_to_texture": (
        ProceduralTextToTextureAdapter,
        {"text_prompt": "red brick", "texture_resolution": 256},
        ["its colours, textures, metal and roughness: the new ones take their place", COORDINATES],
        [],
    ),
    "image_to_texture": (ProjectionImageToTextureAdapter, {"texture_resolution": 256}, [COLOURS, COORDINATES], []),
    "uv_unwrapping": (
        XatlasUvUnwrappingAdapter,
        {"texture_resolution": 256},
        ["the bytes of 1 images: they are encoded anew"],
        [],
    ),
    "mesh_simplification": (
        QuadricMeshSimplificationAdapter,
        {"ratio": 1},
        ["1 maps of normals, roughness, occlusion or light: they are not in the file"],
        ["occlusionTexture", "TEXCOORD_1"],
    ),
    "mesh_retopology": (
        InstantMeshesRetopologyAdapter,
        {"target_faces": 100},
        [
            "1 textures: they are not in the file",
            "2 maps of normals, roughness, occlusion or light: only the base colour is written",
            "texture coordinates of 1 parts: they are not in the file",
        ],
        ["occlusionTexture", "KHR_materials_clearcoat", "TEXCOORD_1"],
    ),
    "mesh_conversion": (TrimeshMeshConversionAdapter, {"output_format": "glb", "merge_vertices": True}, [], []),
}


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_the_document_is_kept(feature: str, tmp_path: Path) -> None:
    adapter, options, lost, ignored = FEATURES[feature]
    body = full()
    path = body.write(tmp_path / "full.glb")
    if "image" in feature:
        Image.new("RGB", (8, 8), (0, 0, 255)).save(tmp_path / "blue.png")
        options = {**options, "image_path": str(tmp_path / "blue.png")}
    answer = run(adapter(), tmp_path / "out", mesh_path=str(path), **options)
    (info,) = (answer[key] for key in answer if key.endswith("_info"))
    assert info["lost"] == lost
    assert [each.partition(" ")[0].rstrip(":") for each in info["ignored"]] == ignored
    raw = unpack(Path(answer["output_mesh_path"]).read_bytes())[0]
    for key in (*KEPT, "nodes"):
        assert raw[key] == body.document[key], key
    assert [(each["name"], len(each["channels"])) for each in raw["animations"]] == [("swing", 1)]
    assert [each["name"] for each in raw["materials"]] == ["paint", "spare"]
    assert raw["materials"][0]["extras"] == {"program": 7}


def test_a_rig_keeps_it_too_and_names_what_the_bones_took(tmp_path: Path) -> None:
    """As a job meets it: four limbs, of which the first is bound to an old joint."""
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / "cross.glb"
    bars = [trimesh.creation.box([4, 0.4, 0.4]), trimesh.creation.box([0.4, 4, 0.4])]
    trimesh.Scene({f"bar {number}": bar for number, bar in enumerate(bars)}).export(path)
    raw, binary = unpack(path.read_bytes())
    number = next(number for number, node in enumerate(raw["nodes"]) if node.get("mesh") == 0)
    raw["nodes"].append({"name": "old", "extras": {"kind": "bone"}})
    raw["nodes"][number]["skin"] = 0
    raw["skins"] = [{"name": "before", "joints": [len(raw["nodes"]) - 1]}]
    raw["scenes"][0]["nodes"].append(len(raw["nodes"]) - 1)
    path.write_bytes(files.glb(raw, binary))
    answer = run(CurveSkeletonAutoRigAdapter(), tmp_path / "out", mesh_path=str(path))
    info = answer["rig_info"]
    assert info["lost"] == ["skin 'before' of 1 joints: the new skeleton takes its place"]
    assert not any("skins" in each for each in info["ignored"])
    made = unpack(Path(answer["output_mesh_path"]).read_bytes())[0]
    assert "old" not in [node.get("name") for node in made["nodes"]]
    assert {node.get("name") for node in raw["nodes"]} - {"old"} <= {node.get("name") for node in made["nodes"]}
