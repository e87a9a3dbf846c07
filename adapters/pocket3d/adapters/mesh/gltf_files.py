"""A GLB file as a .gltf with its buffer and its pictures beside it, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .read.glb_container import unpack
from .read.gltf_archive import glb_of

_SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/ktx2": ".ktx2",
}
#: Extensions that name views of the buffer in ways of their own: then pictures stay in the buffer.
_NAME_VIEWS = frozenset({"EXT_structural_metadata", "EXT_feature_metadata"})


def write_gltf(glb: bytes, path: Path) -> list[Path]:
    """Write a GLB file as a .gltf; returns the further files, in the same folder.

    Args:
        glb: of one buffer, which is inside.
        path: of the .gltf; the others have its stem in their names.
    """
    raw, binary = unpack(glb)
    further: list[Path] = []
    views: list[dict[str, Any]] = raw.get("bufferViews", [])
    spread = not _NAME_VIEWS & set(raw.get("extensionsUsed", ()))
    gone: set[int] = set()
    for number, image in enumerate(raw.get("images", ()) if spread else ()):
        if "bufferView" not in image:
            continue
        view = views[image["bufferView"]]
        gone.add(image.pop("bufferView"))
        beside = path.with_name(f"{path.stem}_image{number}{_SUFFIXES.get(image.pop('mimeType', ''), '.png')}")
        start = view.get("byteOffset", 0)
        beside.write_bytes(binary[start : start + view["byteLength"]])
        image["uri"] = beside.name
        further.append(beside)
    data = _without(raw, views, gone, binary)
    if data:
        buffer = path.with_suffix(".bin")
        buffer.write_bytes(data)
        raw["buffers"] = [{"uri": buffer.name, "byteLength": len(data)}]
        further.insert(0, buffer)
    path.write_text(json.dumps(raw, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    return further


def joined_glb(path: Path) -> bytes:
    """A .gltf that was written so, as a GLB file again."""
    kinds = {".bin", *_SUFFIXES.values()}
    beside = {each.name: each.read_bytes() for each in path.parent.iterdir() if each.suffix in kinds}
    return glb_of(path.read_bytes(), beside, "")


def _without(raw: dict[str, Any], views: list[dict[str, Any]], gone: set[int], binary: bytes) -> bytes:
    """Take views out of the document; returns the buffer without them, the others' bytes in their order."""
    named = set(range(len(views))) - gone
    # A picture's view that something else names as well stays.
    named |= {owner["bufferView"] for owner in _owners(raw)}
    data = bytearray()
    numbers: dict[int, int] = {}
    kept: list[dict[str, Any]] = []
    for index in sorted(named):
        view = views[index]
        start = view.get("byteOffset", 0)
        data += b"\0" * (-len(data) % 4)
        numbers[index] = len(kept)
        kept.append({**view, "byteOffset": len(data)})
        data += binary[start : start + view["byteLength"]]
    for owner in _owners(raw):
        owner["bufferView"] = numbers[owner["bufferView"]]
    raw["bufferViews"] = kept
    if not kept:
        del raw["bufferViews"]
    return bytes(data)


def _owners(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a document that name a view, wherever they are."""
    if isinstance(value, dict):
        if isinstance(value.get("bufferView"), int):
            yield value
        for inner in value.values():
            yield from _owners(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _owners(inner)
