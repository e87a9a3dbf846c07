"""How near auto_rig's bones are to those that people gave their characters.

python tests/bench/rigs.py FOLDER [PATTERN] [--pictures FOLDER]

FOLDER holds rigged GLBs. Distances are shares of the longest side; of the asset's joints only those count that move
a vertex. `names` is the mean distance between joints that have the same meaning in both, `sides` how many of those
with a left and a right are nearer to ours of that side.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / c) for c in ("contracts", "adapters", "tests")]

import numpy as np

from pocket3d.adapters.mesh.input import glb_bytes_of, read_mesh
from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.read.gltf_plain import plain_gltf
from pocket3d.adapters.mesh.read.limits import MeshLimits
from pocket3d.adapters.mesh.repair import NoSolid
from pocket3d.adapters.mesh.skinned_glb import parsed
from pocket3d.adapters.weight_free.rigging.preview import draw_bones
from pocket3d.adapters.weight_free.rigging.rig import Rig, make_rig

#: What a joint's name, in small letters without its side, means. The first that fits counts.
_MEANINGS = (
    (r"ik|pole|slot|control|roll|_end|twist|thumb|index|middle|ring|pinky|point|ear|eye|jaw|brow", ""),
    (r"shoulder|clavicle|collar", ""),
    (r"(fore|lower) ?arm|arm_?lower", "LowerArm"),
    (r"hand|wrist", "Hand"),
    (r"arm", "UpperArm"),
    (r"toe|ball", "Toes"),
    (r"foot|feet|ankle", "Foot"),
    (r"low(er)?_?leg|leg_?lower|calf|shin|leg0?2", "LowerLeg"),
    (r"up(per)?_?leg|leg_?upper|thigh|leg0?1", "UpperLeg"),
    (r"^leg$", "LowerLeg"),
    (r"head", "head"),
    (r"neck", "neck"),
    (r"hips?$|pelvis", "hips"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pattern", nargs="?", default="*.glb")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each with our bones")
    options = parser.parse_args()
    print(
        f"{'':20} own ours  own to our joints   ours to own  own to our bones  names (of)   sides  type, facing,"
        " symmetry"
    )
    for path in sorted(options.folder.glob(options.pattern)):
        begun = time.process_time()
        mesh = read_mesh(path)
        own = own_joints(path)
        try:
            rig = make_rig(mesh, None, lambda _fraction, _stage: None)
        except NoSolid as error:
            print(f"{path.stem:20} refused: {error}", flush=True)
            continue
        print(f"{path.stem:20} {compared(own, rig, float(mesh.extents.max()))}", end="")
        print(f"  {time.process_time() - begun:5.1f} s", flush=True)
        if options.pictures:
            draw_bones(rig.surface, rig.skeleton).save(options.pictures / f"{path.stem}.png")


def own_joints(path: Path) -> dict[str, Any]:
    """Where the asset's joints that move vertices are, (3,) each, by name."""
    plain, binary, _ = plain_gltf(*unpack(glb_bytes_of(path)), MeshLimits())
    document, arrays, tree = parsed(plain, binary)
    moving: set[int] = set()
    for node in document.nodes:
        if node.skin is None or node.mesh is None:
            continue
        for primitive in document.meshes[node.mesh].primitives:
            if "JOINTS_0" in primitive.attributes:
                joints = arrays.rows(primitive.attributes["JOINTS_0"])
                used = joints[arrays.rows(primitive.attributes["WEIGHTS_0"]) > 0]
                moving |= {document.skins[node.skin].joints[int(joint)] for joint in np.unique(used)}
    return {document.nodes[joint].name or f"node {joint}": tree.world(joint)[:3, 3] for joint in sorted(moving)}


def meaning(name: str, kind: str) -> str:
    """The name that auto_rig gives such a bone, or nothing."""
    plain = re.sub(r"^(mixamorig:|b_|c_|def-|skeleton_)", "", name.lower())
    plain = re.sub(r"_bind_jnt$|000\d|_0?\d\d$|0\d\d$", "", plain)
    side = ""
    for word, found in (("left", "left"), ("right", "right")):
        if word in plain:
            side, plain = found, plain.replace(word, "")
    match = re.search(r"(^|[._-])([lr])($|[._-])", plain)
    if not side and match:
        side = "left" if match[2] == "l" else "right"
        plain = plain[: match.start()] + plain[match.end() :]
    front = re.search(r"front", plain)
    hind = re.search(r"back|hind|rear", plain)
    plain = re.sub(r"front|back|hind|rear", "", plain).strip("._- ")
    for pattern, bone in _MEANINGS:
        if re.search(pattern, plain):
            if kind == "quadruped" and side and bone:
                if "Arm" in bone or bone == "Hand":
                    bone = "Front" + {"UpperArm": "UpperLeg", "LowerArm": "LowerLeg", "Hand": "Foot"}[bone]
                else:
                    bone = ("Front" if front else "Hind" if hind or "leg" in plain or "foot" in plain else "") + bone
            return f"{side}{bone}" if bone else ""
    return ""


def compared(own: dict[str, Any], rig: Rig, size: float) -> str:
    """A line of the table."""
    theirs = np.array(list(own.values()))
    heads, tails = rig.skeleton.heads[1:], rig.skeleton.tails[1:]
    ours = np.concatenate([heads, tails[[joint - 1 for joint in range(1, len(heads) + 1)]]])
    apart = np.linalg.norm(theirs[:, None] - ours[None], axis=2) / size
    to_joints, back = apart.min(axis=1), apart[:, : len(heads)].min(axis=0)
    to_bones = np.array([min(_away(at, a, b) for a, b in zip(heads, tails, strict=True)) for at in theirs]) / size
    ends = dict(zip(rig.skeleton.names, rig.skeleton.heads, strict=True))
    named, right, sided = [], 0, 0
    for name, at in own.items():
        wanted = meaning(name, str(rig.facts["rig_type"]))
        if wanted not in ends:
            continue
        off = float(np.linalg.norm(at - ends[wanted])) / size
        named.append(off)
        other = wanted.replace("left", "_").replace("right", "left").replace("_", "right")
        if other != wanted and other in ends:
            sided += 1
            right += off < float(np.linalg.norm(at - ends[other])) / size
    facts = rig.facts
    return (
        f"{len(theirs):3} {len(heads):4}  {to_joints.mean():.3f} (max {to_joints.max():.3f})"
        f"  {back.mean():11.3f}  {to_bones.mean():16.3f}  {np.mean(named) if named else np.nan:5.3f} ({len(named):2})"
        f"  {right:2} of {sided:2}  {facts['rig_type']}, {facts.get('facing', '?')},"
        f" {facts['symmetry_share'] if facts['symmetry'] else 'no'}"
        f" ({sum(name.startswith(('accessory', 'limb')) for name in rig.skeleton.names)} extra)"
    )


def _away(place: Any, head: Any, tail: Any) -> float:
    line = tail - head
    share = np.clip((place - head) @ line / max(float(line @ line), 1e-30), 0, 1)
    return float(np.linalg.norm(place - head - share * line))


if __name__ == "__main__":
    main()
