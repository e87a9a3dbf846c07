"""Converts between GLB and FBX with Blender's Python module (GPL-3.0), in a process of its own.

Started by its path: `blender.py INPUT OUTPUT FACTS`. Textures inside the input go into the output; a picture that lies
outside it does not, since the input may be a stranger's. FACTS is a JSON file that says what the output holds when it
is read again. Imports nothing of Pocket3DStudio.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(arguments: list[str]) -> int:
    """Convert a file, read it again, and write down what is in it."""
    source, target, facts = (Path(each) for each in arguments)
    bpy: Any = importlib.import_module("bpy")
    load(bpy, source)
    drop_outside_pictures(bpy)
    if not [each for each in bpy.data.objects if each.type in ("MESH", "ARMATURE")]:
        sys.stdout.write(f"{source.name} holds neither a mesh nor a skeleton\n")
        return 3
    save(bpy, target)
    load(bpy, target)
    facts.write_text(json.dumps(contents(bpy)))
    return 0


def load(bpy: Any, path: Path) -> None:
    """Read a file into an empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if path.suffix.lower() == ".fbx":
        bpy.ops.import_scene.fbx(filepath=str(path), ignore_leaf_bones=False, use_image_search=False)
    else:
        # Without the ball that the importer draws bones as: it would be written as part of the mesh.
        bpy.ops.import_scene.gltf(filepath=str(path), import_pack_images=True, disable_bone_shape=True)


def drop_outside_pictures(bpy: Any) -> None:
    """Leave pictures out that are not packed into the file that was read."""
    for picture in list(bpy.data.images):
        if picture.packed_file is None:
            bpy.data.images.remove(picture)


def save(bpy: Any, path: Path) -> None:
    """Write the scene."""
    if path.suffix.lower() == ".fbx":
        bpy.ops.export_scene.fbx(
            filepath=str(path), check_existing=False, add_leaf_bones=False, path_mode="COPY", embed_textures=True
        )
    else:
        bpy.ops.export_scene.gltf(filepath=str(path), export_format="GLB")


def contents(bpy: Any) -> dict[str, Any]:
    """Describe what the scene holds."""
    meshes = [each for each in bpy.data.objects if each.type == "MESH"]
    return {
        "bones": sorted(bone.name for armature in bpy.data.armatures for bone in armature.bones),
        "meshes": len(meshes),
        "vertices": sum(len(each.data.vertices) for each in meshes),
        "skinned_meshes": sum(any(m.type == "ARMATURE" for m in each.modifiers) for each in meshes),
        "textures": sum(1 for each in bpy.data.images if each.packed_file is not None),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
