"""A rigged GLB to FBX and back through the real `bpy`, as the UniRig adapter converts: in a process of its own.

Needs an interpreter with Blender's module in POCKET3D_MODELS_PYTHON (Python 3.11: `pip install bpy==4.2.0
numpy==1.26.4`; 36 s). It cannot be the one of the other models: it wants numpy 1.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from pocket3d.adapters.mesh.rig_file import Rig, read_rig
from pocket3d.adapters.upstream import unirig

HERE = Path(__file__).parent
CODE = Path(unirig.__file__).parent
JOINTS = [[0.0, 0.0, -1.0], [0.0, 0.1, 0.0], [0.0, 0.0, 1.0]]


@pytest.fixture(scope="session")
def blender(models_python: str) -> str:
    """The interpreter, if it has Blender's module."""
    look = subprocess.run(
        [models_python, "-c", "import importlib.util as u; print(u.find_spec('bpy') is not None)"],
        capture_output=True,
        text=True,
        check=True,
    )
    if look.stdout.strip() != "True":
        pytest.skip("POCKET3D_MODELS_PYTHON has no bpy (pip install bpy==4.2.0 numpy==1.26.4)")
    return models_python


@pytest.fixture(scope="session")
def files() -> Any:
    """The writer of rigged GLB that UniRig's stand-in uses."""
    spec = importlib.util.spec_from_file_location(
        "fake_files", HERE.parent / "adapters" / "fake_unirig" / "src" / "files.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rigged(tmp_path: Path, files: Any) -> Path:
    from PIL import Image

    mesh = trimesh.creation.capsule(height=2, radius=0.4, count=[8, 8])
    picture = Image.fromarray((np.random.default_rng(0).random((8, 8, 3)) * 255).astype("u1"))
    uv = np.random.default_rng(1).random((len(mesh.vertices), 2))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    mesh.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    path = tmp_path / "rigged.glb"
    mesh.export(path)
    document, blob = files.load_glb(path)
    files.add_skin(document, blob, JOINTS)
    files.save_glb(path, document, blob)
    return path


def convert(blender: str, source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [blender, str(CODE / "child.py"), "script", str(CODE / "blender.py"), str(source), str(target)]
    facts = target.with_suffix(".json")
    environment = {**os.environ, "POCKET3D_STEP_PROGRESS": str(target.with_suffix(".progress"))}
    return subprocess.run([*command, str(facts)], env=environment, capture_output=True, text=True, check=False)


def converted(blender: str, source: Path, target: Path) -> dict[str, Any]:
    done = convert(blender, source, target)
    assert done.returncode == 0, done.stdout + done.stderr
    facts: dict[str, Any] = json.loads(target.with_suffix(".json").read_text())
    return facts


def parents(rig: Rig) -> dict[str, str | None]:
    return {
        name: None if parent is None else rig.names[parent] for name, parent in zip(rig.names, rig.parents, strict=True)
    }


def test_bones_weights_and_texture_survive_fbx(blender: str, rigged: Path, tmp_path: Path) -> None:
    before = read_rig(rigged, skinned=True)
    fbx = converted(blender, rigged, tmp_path / "a.fbx")
    assert fbx["bones"] == ["bone_0", "bone_1", "bone_2"]
    assert (fbx["meshes"], fbx["skinned_meshes"], fbx["textures"]) == (1, 1, 1), "without a ball for the bones"
    back = tmp_path / "b.glb"
    converted(blender, tmp_path / "a.fbx", back)
    after = read_rig(back, skinned=True)
    assert (after.bones, after.most_influences, after.textures) == (before.bones, 2, 1)
    assert parents(after) == parents(before) == {"bone_0": None, "bone_1": "bone_0", "bone_2": "bone_1"}
    given, made = (trimesh.load(path, force="mesh") for path in (rigged, back))
    assert np.allclose(given.extents, made.extents, atol=1e-3)
    assert len(given.faces) == len(made.faces)
    pictures = [np.asarray(each.visual.material.baseColorTexture.convert("RGB")) for each in (given, made)]
    assert np.array_equal(*pictures)


def test_pictures_outside_the_file_are_not_taken_in(blender: str, rigged: Path, tmp_path: Path, files: Any) -> None:
    from PIL import Image

    secret = tmp_path / "secret.png"
    Image.new("RGB", (4, 4), "red").save(secret)
    document, blob = files.load_glb(rigged)
    document["images"] = [{"uri": "secret.png"}]
    outside = tmp_path / "outside.glb"
    files.save_glb(outside, document, blob)
    plain = tmp_path / "plain.fbx"
    # Blender's own FBX with a path instead of the picture, as a stranger's may be.
    script = (
        "import bpy, sys, os\n"
        "bpy.ops.wm.read_factory_settings(use_empty=True)\n"
        "bpy.ops.import_scene.gltf(filepath=sys.argv[1], import_pack_images=False)\n"
        "bpy.ops.export_scene.fbx(filepath=sys.argv[2], path_mode='ABSOLUTE')\n"
        "sys.stdout.flush(); os._exit(0)\n"
    )
    subprocess.run([blender, "-c", script, str(outside), str(plain)], check=True, capture_output=True)
    assert b"secret.png" in plain.read_bytes(), "the FBX names the picture"
    facts = converted(blender, plain, tmp_path / "in.glb")
    assert facts["textures"] == 0
    assert facts["bones"]


def test_a_file_without_content_is_told(blender: str, tmp_path: Path) -> None:
    empty = tmp_path / "empty.glb"
    empty.write_bytes(_empty_glb())
    done = convert(blender, empty, tmp_path / "x.fbx")
    assert done.returncode == 3
    assert "neither a mesh nor a skeleton" in done.stdout
    assert not (tmp_path / "x.fbx").exists()


def _empty_glb() -> bytes:
    text = b'{"asset":{"version":"2.0"},"scene":0,"scenes":[{"nodes":[0]}],"nodes":[{"name":"nothing"}]}'
    text += b" " * (-len(text) % 4)
    head = b"glTF" + (2).to_bytes(4, "little") + (20 + len(text)).to_bytes(4, "little")
    return head + len(text).to_bytes(4, "little") + b"JSON" + text
