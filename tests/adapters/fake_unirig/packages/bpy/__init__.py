"""Reads and writes the stand-in's FBX, and GLB, through the calls of Blender's module that the adapter uses."""

import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[2]))
from src import files

data = SimpleNamespace(objects=[], images=[], armatures=[])
_scene = {}


def _empty(use_empty):
    assert use_empty
    _scene.clear()
    data.objects, data.images, data.armatures = [], [], []


def _show(vertices, joints, skinned, pictures=0):
    data.images = [SimpleNamespace(packed_file=b"png") for _ in range(pictures)]
    modifiers = [SimpleNamespace(type="ARMATURE")] if skinned else []
    mesh = SimpleNamespace(type="MESH", data=SimpleNamespace(vertices=vertices), modifiers=modifiers)
    data.objects = [mesh] if len(vertices) else []
    if joints:
        bones = [SimpleNamespace(name=f"bone_{index}") for index in range(len(joints))]
        data.armatures = [SimpleNamespace(bones=bones)]
        data.objects.append(SimpleNamespace(type="ARMATURE", modifiers=[]))


def _read_fbx(filepath, ignore_leaf_bones, use_image_search):
    assert not use_image_search, "pictures beside the file are not the producer's"
    content = files.load_fbx(filepath)
    _scene.update(content)
    _show(content["vertices"], content.get("joints"), content["skin"], content.get("pictures", 0))


def _read_glb(filepath, import_pack_images, disable_bone_shape):
    assert import_pack_images and disable_bone_shape
    document, blob = files.load_glb(filepath)
    joints = []
    for skin in document.get("skins", [])[:1]:
        matrices = files.read(document, blob, skin["inverseBindMatrices"]).reshape(-1, 4, 4)
        joints = (-matrices[:, 3, :3]).tolist()
    vertices = files.positions(document, blob).tolist()
    faces = files.triangles(document, blob).tolist()
    _scene.update(
        vertices=vertices, faces=faces, joints=joints, skin=bool(joints), pictures=len(document.get("images", []))
    )
    _show(vertices, joints, bool(joints), _scene["pictures"])


def _write_fbx(filepath, check_existing, add_leaf_bones, path_mode, embed_textures):
    assert not add_leaf_bones and path_mode == "COPY" and embed_textures
    files.save_fbx(filepath, **_scene)


def _write_glb(filepath, export_format):
    assert export_format == "GLB"
    count = len(_scene["vertices"])
    faces = _scene.get("faces") or [[index, index + 1, index + 2] for index in range(count - 2)]
    document, blob = files.geometry(_scene["vertices"], faces)
    if _scene.get("skin"):
        files.add_skin(document, blob, _scene["joints"])
    elif _scene.get("joints"):
        files.add_bones(document, _scene["joints"])
    files.save_glb(filepath, document, blob)


ops = SimpleNamespace(
    wm=SimpleNamespace(read_factory_settings=_empty),
    import_scene=SimpleNamespace(fbx=_read_fbx, gltf=_read_glb),
    export_scene=SimpleNamespace(fbx=_write_fbx, gltf=_write_glb),
)
