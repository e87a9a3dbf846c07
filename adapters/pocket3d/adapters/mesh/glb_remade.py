"""A GLB file with its parts made anew, and all else that it has: the tree of nodes, names, materials, lights,
animations.

Where vertices are copies of the old ones they have all that those have. Where they are new, joints and shapes that they
morph to are looked up at the nearest place of the old surface.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .glb_copy import sound
from .glb_edit import CannotKeep, GlbEdit
from .glb_looks import Looks, Paint, drop_extensions, place_of_textures, sets_of, with_sets, without_pictures
from .glb_motion import without_channels
from .glb_references import extension_names, without_unused
from .glb_reform import Frame, reform
from .glb_unread import scenes_name_roots
from .input import origins
from .mesh_part import MeshPart
from .read.glb_container import pack
from .triangles import IntArray


class Remade(NamedTuple):
    """What became of a part."""

    #: In world coordinates.
    part: MeshPart
    #: (V,) the vertex of the part, as it was read, that each is a copy of; None where the shape is new.
    source: IntArray | None = None
    #: Its texture coordinates are new as well; else they are those by which its old textures lie.
    new_uv: bool = False


def remade_copy(data: bytes, scene: Any, made: Mapping[str, Remade], paint: Paint | None = None) -> bytes | None:
    """The file with what the parts became.

    Args:
        data: the GLB file that was read.
        scene: what `read_scene` read of it.
        made: by the names of the scene's nodes; what is not in it is left out.
        paint: what the parts' pictures replace; None where the looks stay.

    Returns:
        None where the file is no GLB, or one that cannot be kept: it has to be written anew.
    """
    edit, made_of = GlbEdit.of(data), origins(scene)
    names = [str(node) for node in scene.graph.nodes_geometry]
    # Copies by an extension have one mesh and cannot differ.
    if edit is None or len({made_of.get(name) for name in names} - {None}) < len(names):
        return None
    if not scenes_name_roots(edit.raw):
        return None
    sound(edit)
    before, used = copy.deepcopy(edit.raw), extension_names(edit.raw)
    looks = Looks(edit)
    gone: list[dict[str, Any]] = []
    try:
        _give_own_meshes(edit, {made_of[name][0] for name in names})
        frame = Frame(edit)
        for name in names:
            node, number = made_of[name]
            primitive = edit.primitive(node, number)
            became = made.get(name)
            transform, geometry = scene.graph.get(name)
            mesh = scene.geometry[geometry]
            if became is None:
                gone.append(primitive)
            elif became.source is None:
                _renewed(edit, looks, frame, node, primitive, became.part, mesh, transform)
            else:
                _reshaped(edit, looks, primitive, became, paint, mirrored=np.linalg.det(transform[:3, :3]) < 0)
    except CannotKeep:
        return None
    looks.settle()
    _leave_out(edit.raw, gone)
    drop_extensions(edit.raw, used)
    return pack(*without_unused(*edit.parts(), before))


def _give_own_meshes(edit: GlbEdit, shown: set[int]) -> None:
    """Let each node that is shown have a mesh for itself; nodes that the scene does not show keep theirs."""
    nodes = edit.raw["nodes"]
    taken = {node["mesh"] for number, node in enumerate(nodes) if "mesh" in node and number not in shown}
    for number in sorted(shown):
        if nodes[number]["mesh"] in taken:
            edit.own_mesh(number)
        taken.add(nodes[number]["mesh"])


def _reshaped(
    edit: GlbEdit, looks: Looks, primitive: dict[str, Any], became: Remade, paint: Paint | None, *, mirrored: bool
) -> None:
    """Give a primitive copies of its vertices, and the look that they ask for."""
    part, attributes = became.part, primitive["attributes"]
    look = looks.of(primitive)
    painted = paint if part.texture is not None else None
    where = place_of_textures(look, attributes)
    if painted is not None and painted.colour:
        for each in (attributes, *primitive.get("targets", ())):
            each.pop("COLOR_0", None)
    computed = {}
    if became.new_uv:
        assert part.uv is not None
        where = {}
        computed["TEXCOORD_0"] = part.uv
        left = look if painted is None else without_pictures(look, painted)
        if 0 in sets_of(left) and "TEXCOORD_0" in attributes:
            # Other maps lie by it.
            free = next(number for number in range(1, len(attributes) + 1) if f"TEXCOORD_{number}" not in attributes)
            attributes[f"TEXCOORD_{free}"] = attributes.pop("TEXCOORD_0")
            with_sets(look, {0: free, **{number: number for number in sets_of(look) - {0}}}, None)
    if painted is not None:
        looks.paint(look, part, painted, where)
    if painted is not None or became.new_uv:
        looks.want(primitive, look)
    if became.new_uv or paint is None:
        assert became.source is not None
        edit.reshape(primitive, became.source, part.faces[:, ::-1] if mirrored else part.faces, computed)


def _renewed(
    edit: GlbEdit,
    looks: Looks,
    frame: Frame,
    node: int,
    primitive: dict[str, Any],
    part: MeshPart,
    mesh: Any,
    transform: Any,
) -> None:
    """Give a primitive a new shape, and as much of its look as that has coordinates for."""
    look = looks.of(primitive)
    sets = reform(edit, frame, node, primitive, part, mesh, transform)
    with_sets(look, sets, _roughness_metal(mesh))
    looks.want(primitive, look)


def _roughness_metal(mesh: Any) -> tuple[float, float] | None:
    """The means of a part's map of roughness and metal; None without, or where it lies elsewhere on the surface."""
    picture = getattr(getattr(mesh.visual, "material", None), "metallicRoughnessTexture", None)
    if picture is None:
        return None
    _, roughness, metal = np.asarray(picture.convert("RGB")).reshape(-1, 3).mean(axis=0) / 255
    return float(roughness), float(metal)


def _leave_out(raw: dict[str, Any], gone: list[dict[str, Any]]) -> None:
    """Take primitives out, and meshes of which none is left."""
    left_out = {id(each) for each in gone}
    for mesh in raw["meshes"] if gone else ():
        mesh["primitives"] = [each for each in mesh["primitives"] if id(each) not in left_out]
    bare = {number for number, mesh in enumerate(raw["meshes"]) if not mesh["primitives"]}
    nodes = {number for number, node in enumerate(raw["nodes"]) if node.get("mesh") in bare}
    for number in nodes:
        for key in ("mesh", "skin", "weights"):
            raw["nodes"][number].pop(key, None)
    without_channels(raw, lambda node, path: path == "weights" and node in nodes)
