"""What a written file no longer has of the one that it was made of. Pure."""

from __future__ import annotations

from collections.abc import Collection

from .inventory import Inventory
from .read.glb_left_out import ELSEWHERE, left_out

#: What belongs to the look of a surface: a feature that paints anew replaces it, and says so.
LOOKS = frozenset(
    {"textures", "alpha", "maps", "relief", "surface", "colours", "stated", "shine", "cutout", "sides", "images"}
)
#: The same, where only colours, metal and roughness are replaced.
OWN_COLOURS = frozenset({"textures", "alpha", "maps", "surface", "colours", "stated", "images"})
#: Extensions that say what the joints of a character are.
OF_JOINTS = ("VRM", "VRMC_vrm", "VRMC_springBone", "VRMC_springBone_extended_collider")
#: What moves a mesh: a feature that rigs it replaces that, and says so.
MOTION = frozenset({"animations", "skins", *OF_JOINTS})
#: What belongs to a skeleton that another one takes the place of.
_SKINS = "{count} skins: the new skeleton takes their place"
_SOME_MAPS = "{count} maps of normals, roughness, occlusion or light: {why}"
_ONE_MESH = ("ply", "stl")
#: In what readers say of pictures that they do not read.
_PICTURES = " in KTX2"
_COLOURS_ONLY = ("ply", "3mf")
_NAMED = 6
#: How the loss of each kind is told, in this order.
_TEXTS = {
    "textures": "{count} textures: {why}",
    "alpha": "transparency of {count} textures: {why}",
    "maps": "{count} maps of normals, roughness, occlusion or light: only the base colour is written",
    "relief": "{count} maps of normals, occlusion or light: {why}",
    "surface": "metallic and roughness: {why}",
    "colours": "colours at the vertices of {count} parts: {why}",
    "stated": "colours and materials of {count} parts: {why}",
    "coordinates": "texture coordinates of {count} parts: {why}",
    "normals": "normals at the vertices of {count} parts: {why}",
    "shine": "light of their own of {count} materials: {why}",
    "cutout": "cut-out transparency of {count} materials: {why}",
    "sides": "visible backs (double-sided) of {count} materials: {why}",
    "hidden": "{count} objects that the scene does not show: {why}",
    "groups": "{count} nodes that group or name others: {why}",
}


def replaced_skins(before: Inventory) -> list[str]:
    """What of a file a new skeleton takes the place of; it belongs to the kind `skins`."""
    skins = (before.document or {}).get("skins", ())
    return [_SKINS.format(count=len(skins))] if skins else []


def unread(before: Inventory, after: Inventory, notes: Collection[str], replaced: Collection[str] = ()) -> list[str]:
    """What readers leave out and is not in the file either. `notes` are the reader's on the input, some of which no
    longer hold where the file was made of the input's own document; `replaced` are kinds that are told otherwise.
    """
    if before.document is None:
        return list(notes)
    kept = None if after.document is None else dict(after.document)
    document = dict(before.document)
    said = left_out(document)
    if kept is not None and before.images <= after.images:
        # The pictures are in the file as they came.
        notes = [each for each in notes if _PICTURES not in each]
    if kept is not None and _as_many("relief", before.counts.get("relief", 0), before, after):
        notes = [each for each in notes if not each.endswith(ELSEWHERE)]
    told = {key: value for key, value in document.items() if key not in MOTION or key not in replaced}
    if isinstance(told.get("extensions"), dict):
        told["extensions"] = {name: each for name, each in told["extensions"].items() if name not in replaced}
    return [*(each for each in notes if each not in said), *left_out(told, kept)]


def missing(before: Inventory, after: Inventory, replaced: Collection[str] = ()) -> list[str]:
    """What a file no longer has of the one that it was made of, for people, as far as readers read it.

    Args:
        before: of the input.
        after: of the output.
        replaced: kinds that were replaced on purpose and told otherwise, or are no loss.
    """
    target = after.format.upper()
    gone = {
        kind
        for kind, count in before.counts.items()
        if kind not in replaced and count and not _as_many(kind, count, before, after)
    }
    lost: list[str] = []
    if "maps" in gone:
        # Those are told with all others.
        gone.discard("relief")
    if gone & {"textures", "cutout"}:
        # It is told with them.
        gone.discard("alpha")
    if after.format == "stl" and "stated" in gone:
        lost.append("colours, materials and textures: STL holds triangles only")
        gone -= {"stated", "colours", "textures", "maps", "surface"}
    parts = before.counts["parts"]
    if "parts" in gone:
        holds = "holds one mesh" if after.format in _ONE_MESH else f"has {after.counts['parts']}"
        lost.append(f"the division into {parts} parts and their names: {target} {holds}")
    elif "names" not in replaced and after.format not in _ONE_MESH and before.names - after.names:
        lost.append(f"names: {_few(sorted(before.names - after.names))}")
    words = {}
    if after.format in _COLOURS_ONLY:
        at_vertices = f"{target} keeps their colours at the vertices only"
        words = {"textures": at_vertices, "surface": f"{target} holds colours only"}
    for kind, text in _TEXTS.items():
        if kind in gone:
            count, left = before.counts[kind], after.counts.get(kind, 0)
            if kind == "maps" and left:
                # Of several that lie on one surface some may stay.
                count, text = max(count - left, 1), _SOME_MAPS
            lost.append(text.format(count=count, why=words.get(kind, "they are not in the file")))
    if "meshes" not in replaced and before.counts["meshes"] < parts and after.counts["meshes"] >= after.counts["parts"]:
        lost.append(f"the sharing of {before.counts['meshes']} meshes among {parts} places: each is written out")
    if "images" not in replaced and after.format == "glb" and "textures" not in gone | set(replaced):
        anew = len(before.images - after.images)
        if anew:
            lost.append(f"the bytes of {anew} images: they are encoded anew")
    return lost


def _as_many(kind: str, count: int, before: Inventory, after: Inventory) -> bool:
    found = after.counts.get(kind, 0)
    if kind == "meshes":
        return True
    if kind in ("parts", "groups", "hidden"):
        return found >= count
    if kind in ("maps", "relief"):
        # One part may have several of them.
        return found * before.counts["meshes"] >= count * min(before.counts["meshes"], after.counts["meshes"])
    # Parts that are shown several times or joined: what all of the new ones have is there.
    return found >= min(count, after.counts["parts"]) or (kind in ("textures", "surface", "stated") and found > 0)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:60] for name in names[:_NAMED]) + more
