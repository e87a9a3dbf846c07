"""GLB as JSON and bytes, and the stand-in for FBX: a header and JSON."""

import json
import struct
from pathlib import Path

import numpy as np

HEADER = b"Kaydara FBX Binary  \x00\n"
TYPES = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def load_fbx(path):
    data = Path(path).read_bytes()
    assert data.startswith(HEADER), f"failed to load {path}"
    return json.loads(data[len(HEADER) :])


def save_fbx(path, **content):
    Path(path).write_bytes(HEADER + json.dumps(content).encode())


def load_glb(path):
    data = Path(path).read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length]), bytearray(data[28 + length :])


def save_glb(path, document, blob):
    document["buffers"] = [{"byteLength": len(blob)}]
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = bytes(blob) + b"\0" * (-len(blob) % 4)
    total = 28 + len(text) + len(body)
    head = struct.pack("<4sIIII", b"glTF", 2, total, len(text), 0x4E4F534A)
    Path(path).write_bytes(head + text + struct.pack("<II", len(body), 0x004E4942) + body)


def read(document, blob, index):
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = np.dtype(TYPES[accessor["componentType"]]), WIDTHS[accessor["type"]]
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.frombuffer(blob, kind, accessor["count"] * width, start).reshape(-1, width).copy()


def add(document, blob, array, kind, component):
    blob += b"\0" * (-len(blob) % 4)
    data = np.ascontiguousarray(array, TYPES[component]).tobytes()
    document.setdefault("bufferViews", []).append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(data)})
    blob += data
    accessor = {
        "bufferView": len(document["bufferViews"]) - 1,
        "componentType": component,
        "count": len(array),
        "type": kind,
    }
    if kind == "VEC3":
        accessor.update(min=array.min(axis=0).tolist(), max=array.max(axis=0).tolist())
    document.setdefault("accessors", []).append(accessor)
    return len(document["accessors"]) - 1


def positions(document, blob):
    found = [
        read(document, blob, primitive["attributes"]["POSITION"])
        for mesh in document.get("meshes", [])
        for primitive in mesh["primitives"]
    ]
    return np.concatenate(found).astype(np.float32)


def triangles(document, blob):
    found, start = [], 0
    for mesh in document["meshes"]:
        for primitive in mesh["primitives"]:
            found.append(read(document, blob, primitive["indices"]).reshape(-1, 3).astype(np.int64) + start)
            start += document["accessors"][primitive["attributes"]["POSITION"]]["count"]
    return np.concatenate(found)


def geometry(vertices, faces):
    document, blob = {"asset": {"version": "2.0"}, "scene": 0}, bytearray()
    attributes = {"POSITION": add(document, blob, np.asarray(vertices, np.float32), "VEC3", 5126)}
    indices = add(document, blob, np.asarray(faces).reshape(-1, 1), "SCALAR", 5125)
    document["meshes"] = [{"primitives": [{"attributes": attributes, "indices": indices}]}]
    document["nodes"] = [{"mesh": 0, "name": "mesh"}]
    document["scenes"] = [{"nodes": [0]}]
    return document, blob


def add_bones(document, joints):
    """A chain of nodes below an armature; the bones' nodes."""
    nodes = document["nodes"]
    armature = len(nodes)
    bones = [armature + 1 + index for index in range(len(joints))]
    nodes.append({"name": "Armature", "children": [bones[0]]})
    before = np.zeros(3)
    for index, joint in enumerate(joints):
        node = {"name": f"bone_{index}", "translation": (np.asarray(joint) - before).tolist()}
        before = np.asarray(joint)
        if index + 1 < len(joints):
            node["children"] = [bones[index + 1]]
        nodes.append(node)
    document["scenes"][document.get("scene", 0)]["nodes"].append(armature)
    return bones


def add_skin(document, blob, joints, scale=1.0):
    bones = add_bones(document, joints)
    inverse = np.tile(np.eye(4), (len(bones), 1, 1))
    inverse[:, 3, :3] = -np.asarray(joints)
    matrices = add(document, blob, inverse.reshape(-1, 16), "MAT4", 5126)
    document["skins"] = [{"joints": bones, "inverseBindMatrices": matrices}]
    for node in document["nodes"]:
        if "mesh" not in node:
            continue
        node["skin"] = 0
        for primitive in document["meshes"][node["mesh"]]["primitives"]:
            points = read(document, blob, primitive["attributes"]["POSITION"])
            order = np.argsort(np.linalg.norm(points[:, None] - np.asarray(joints)[None], axis=2), axis=1)[:, :2]
            influences = np.zeros((len(points), 4), int)
            influences[:, :2] = order
            weights = np.zeros((len(points), 4))
            weights[:, :2] = [0.75 * scale, 0.25 * scale]
            primitive["attributes"]["JOINTS_0"] = add(document, blob, influences, "VEC4", 5121)
            primitive["attributes"]["WEIGHTS_0"] = add(document, blob, weights, "VEC4", 5126)
