"""A GLB file once more with everything that it has, bound to a new skeleton."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from .glb_copy import sound
from .glb_edit import CannotKeep, GlbEdit
from .glb_looks import drop_extensions
from .glb_motion import without_channels
from .glb_posed import Posed
from .glb_references import extension_names, is_known, without_unused
from .glb_unread import scenes_name_roots
from .losses import OF_JOINTS
from .read.glb_container import pack
from .read.glb_instances import EXTENSION
from .read.limits import Refused
from .skinned_glb import Skeleton, Weigh, bind_matrices, joint_nodes

_OF_JOINT = "VRMC_node_constraint"


class Rigged(NamedTuple):
    """The file, and what it had that the new skeleton takes the place of, for people."""

    data: bytes
    lost: list[str]


def skinned_copy(data: bytes, skeleton: Skeleton, weigh: Weigh) -> Rigged | None:
    """The file with all of its meshes bound to a skeleton; they stay where they are while no joint moves.

    A skinned mesh's node does not place it any more (glTF 2.0, section 3.7.3.3), so what it did goes into the inverse
    bind matrices, one skin for each place; where joints or a mirror placed the mesh, its vertices go to where they
    were seen. Joints of an old skin go, with what moved them.

    Args:
        data: a GLB file that `check_glb` found sound.
        skeleton: at most 65,536 joints, in world coordinates.
        weigh: called once for each set of vertices, with places in the world.

    Returns:
        None where the file has to be written anew: parts of it lie in other files, it has copies by an extension, or
        vertices that are not read.
    """
    edit = GlbEdit.of(data)
    if edit is None or any(EXTENSION in node.extensions for node in edit.document.nodes):
        return None
    if not scenes_name_roots(edit.raw):
        return None
    sound(edit)
    raw, before, used = edit.raw, copy.deepcopy(edit.raw), extension_names(edit.raw)
    nodes: list[dict[str, Any]] = raw["nodes"]
    if "scenes" not in raw:
        roots = set(range(len(nodes))) - {child for node in nodes for child in node.get("children", ())}
        raw |= {"scenes": [{"nodes": sorted(roots)}], "scene": 0}
    # Of nodes that no scene shows nobody has judged what they name.
    bound = [number for number, node in enumerate(nodes) if node.get("mesh") in range(len(raw["meshes"]))]
    lost = [
        f"skin {_called(number, skin)} of {len(skin['joints'])} joints: the new skeleton takes its place"
        for number, skin in enumerate(raw.get("skins", ()))
    ]
    old = {joint for skin in raw.pop("skins", ()) for joint in skin["joints"]}
    lost += _forget_joints(raw) if old else []
    told = without_channels(raw, _is_dead(nodes, old, set(bound)))
    lost += [f"animation {each}: what it moved follows the new bones alone" for each in told]
    first = len(nodes)
    nodes += joint_nodes(skeleton, first)
    for scene in raw["scenes"]:
        scene.setdefault("nodes", []).append(first)
    try:
        _bind(edit, bound, skeleton, weigh, first)
    except (CannotKeep, Refused):
        return None
    drop_extensions(raw, used)
    gone = _idle(nodes, old) if is_known(raw) else set()
    for scene in raw["scenes"]:
        scene["nodes"] = [each for each in scene["nodes"] if each not in gone]
    return Rigged(pack(*without_unused(*edit.parts(), before, gone)), lost)


def _bind(edit: GlbEdit, bound: list[int], skeleton: Skeleton, weigh: Weigh, first: int) -> None:
    """Bind the meshes of nodes to joints that are nodes from `first` on, with a skin for each place."""
    raw = edit.raw
    joints = list(range(first, first + len(skeleton.names)))
    skins: dict[bytes, int] = {}
    taken: set[int] = set()
    posed = Posed(edit)
    raw["skins"] = []
    for number in bound:
        if raw["nodes"][number]["mesh"] in taken:
            # Weights depend on where it stands.
            edit.own_mesh(number)
        taken.add(raw["nodes"][number]["mesh"])
    for number in bound:
        node = raw["nodes"][number]
        world = posed.bind(number, weigh)
        if posed.is_mirrored(number):
            node = _at_root(raw, number)
        key = world.tobytes()
        if key not in skins:
            skins[key] = len(raw["skins"])
            matrices = edit.matrices(bind_matrices(skeleton, world))
            raw["skins"].append(
                {"name": "skeleton", "inverseBindMatrices": matrices, "skeleton": first, "joints": joints.copy()}
            )
        node["skin"] = skins[key]


def _called(number: int, entry: dict[str, Any]) -> str:
    return repr(str(entry.get("name") or number)[:60])


def _is_dead(nodes: list[dict[str, Any]], joints: set[int], bound: set[int]) -> Any:
    """Whether moving a node, or what of it, moves nothing any more: it is a joint, or places bound meshes alone."""

    def alive(number: int) -> bool:
        below = [*_below(nodes, number)]
        shows = any("camera" in nodes[each] or nodes[each].get("extensions") for each in below)
        return shows or not any(each in bound or each in joints for each in below)

    def dead(number: int, path: str) -> bool:
        return path != "weights" and (number in joints or not alive(number))

    return dead


def _idle(nodes: list[dict[str, Any]], joints: set[int]) -> set[int]:
    """The joints that nothing hangs on but joints of that kind."""
    return {
        number
        for number in joints
        if all(
            each in joints and not {"mesh", "camera", "extensions"} & nodes[each].keys()
            for each in _below(nodes, number)
        )
    }


def _below(nodes: list[dict[str, Any]], number: int) -> Iterator[int]:
    """A node and all below it. Nodes form a forest: the reader has refused what does not."""
    waiting = [number]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += nodes[each].get("children", ())


def _forget_joints(raw: dict[str, Any]) -> list[str]:
    """Take out what says what the old joints are."""
    found = [name for name in OF_JOINTS if name in raw.get("extensions", {})]
    for name in found:
        del raw["extensions"][name]
    for holder in (raw, *raw["nodes"]):
        extensions = holder.get("extensions")
        if extensions is not None:
            extensions.pop(_OF_JOINT, None)
            if not extensions:
                del holder["extensions"]
    return [f"{name}: it says what the old joints are" for name in found]


def _at_root(raw: dict[str, Any], number: int) -> dict[str, Any]:
    """Show the mesh of a node by one at the top instead: viewers turn what hangs below a mirror inside out."""
    nodes: list[dict[str, Any]] = raw["nodes"]
    old = nodes[number]
    moved: dict[str, Any] = {key: old.pop(key) for key in ("mesh", "weights", "skin") if key in old}
    nodes.append({**({"name": old["name"]} if "name" in old else {}), **moved})
    for scene in raw["scenes"]:
        if any(number in _below(nodes, root) for root in scene["nodes"]):
            scene["nodes"].append(len(nodes) - 1)
    for animation in raw.get("animations", ()):
        for channel in animation["channels"]:
            if channel["target"].get("node") == number and channel["target"].get("path") == "weights":
                channel["target"]["node"] = len(nodes) - 1
    return nodes[-1]
