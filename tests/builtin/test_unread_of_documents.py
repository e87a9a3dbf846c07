"""What of a GLB document no reader of triangles reads may be anything: a copy keeps it where it is sound, and where it
is not, the file is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("trimesh")

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.glb_copy import placed_copy
from pocket3d.adapters.mesh.glb_edit import GlbEdit
from pocket3d.adapters.mesh.input import read_scene
from pocket3d.adapters.mesh.inventory import inventory
from pocket3d.adapters.mesh.losses import missing, unread
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.weight_free.conversion.adapter import TrimeshMeshConversionAdapter
from support import mesh_files as files
from support.adapter_run import run
from support.full_glb import full

pytestmark = pytest.mark.torch

Spoil = Callable[[dict[str, Any]], object]


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"in": [value]}
    return value


def material(raw: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = raw["materials"][0]
    return found


BROKEN: dict[str, Spoil] = {
    "animations of another kind": lambda raw: raw.update(animations=5),
    "an animation without channels": lambda raw: raw["animations"][0].pop("channels"),
    "a channel of no sampler": lambda raw: raw["animations"][0]["channels"][0].update(sampler=7),
    "a channel of no node": lambda raw: raw["animations"][0]["channels"][0]["target"].update(node=99),
    "samplers of another kind": lambda raw: raw.update(samplers={"a": 1}),
    "extensions that are no names": lambda raw: raw.update(extensionsUsed=[None, 3]),
    "a picture's kind": lambda raw: raw["images"][0].update(mimeType=["image/png"]),
    "a texture of an extension": lambda raw: material(raw)["extensions"].update(a={"aTexture": {"index": -1}}),
    "its place": lambda raw: material(raw)["extensions"].update(
        a={"aTexture": {"index": 0, "extensions": {"KHR_texture_transform": []}}}
    ),
    "a material's extensions": lambda raw: material(raw).update(extensions=["a"]),
    "variants of materials": lambda raw: raw["meshes"][0]["primitives"][0].update(
        extensions={"KHR_materials_variants": {"mappings": [7]}}
    ),
    "nodes below one another that nobody sees": lambda raw: raw["nodes"].extend([{"children": [4]}, {"children": [3]}]),
    "a node that is not there below one that nobody sees": lambda raw: raw["nodes"].append({"children": [77]}),
    "a camera below nothing": lambda raw: raw["nodes"][2].update(camera=-1),
    "an unread morph target": lambda raw: raw["meshes"][0]["primitives"][0].update(targets=[[0]]),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_file_that_is_broken_where_nobody_reads_is_written_anew(name: str, tmp_path: Path) -> None:
    made = full()
    BROKEN[name](made.document)
    path = made.write(tmp_path / "a.glb")
    scene = read_scene(path)
    assert GlbEdit.of(path.read_bytes()) is None
    held = inventory(path, scene)
    assert missing(held, held) == [] and unread(held, held, []) == []
    answer = run(TrimeshMeshConversionAdapter(), tmp_path / "out", mesh_path=str(path), output_format="glb")
    assert answer["generation_info"]["face_count"] == 4 and answer["generation_info"]["lost"]


def test_null_is_nothing(tmp_path: Path) -> None:
    made = full()
    material(made.document).update(emissiveTexture=None, extras={"kept": None}, alphaMode=None)
    made.document["nodes"][1].update(skin=None, weights=None, camera=None)
    made.document["images"][0]["uri"] = None
    made.document["textures"][1]["sampler"] = None
    made.document |= {"skins": None, "extensionsRequired": None}
    path = made.write(tmp_path / "a.glb")
    assert inventory(path, read_scene(path)).counts["relief"] == 2
    copy = placed_copy(path.read_bytes(), np.eye(4))
    assert copy is not None
    raw = unpack(copy)[0]
    assert material(raw)["extras"] == {"kept": None} and "skins" not in raw and "uri" not in raw["images"][0]


@pytest.mark.parametrize("key", ["extras", "extensions"])
@pytest.mark.parametrize("levels", [200, 450])
def test_json_nested_deeper_than_a_copy_could_follow_is_refused(key: str, levels: int, tmp_path: Path) -> None:
    document = files.gltf_document() | {key: {"a": nested(levels)}}
    for name, data in (("a.glb", files.glb(document)), ("a.gltf", json.dumps(document).encode())):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match="nested deeper than 100 levels"):
            read_scene(tmp_path / name)
    document[key] = {"a": nested(40)}
    (tmp_path / "b.glb").write_bytes(files.glb(document))
    read_scene(tmp_path / "b.glb")
    assert placed_copy((tmp_path / "b.glb").read_bytes(), np.diag([2.0, 2, 2, 1])) is not None
