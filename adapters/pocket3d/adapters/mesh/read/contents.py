"""What kind of file bytes are, whatever their name says."""

from __future__ import annotations

from collections.abc import Sequence

from .limits import Refused
from .text_lines import plain_text

_BEGINNINGS = (
    (b"glTF", "glb"),
    (b"ply\n", "ply"),
    (b"ply\r", "ply"),
    (b"Kaydara FBX Binary", "fbx"),
    (b"; FBX", "fbx"),
    (b"BLENDER", "blend"),
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"%PDF", "pdf"),
    (b"ISO-10303-21", "step"),
    (b"PXR-USDC", "usdc"),
    (b"#usda", "usda"),
    (b"7z\xbc\xaf", "7z"),
    (b"Rar!", "rar"),
    (b"\x1f\x8b", "gzip"),
)
_HEAD = 4096
_ADVICE = {
    "zip": "unpack it, and give the mesh that is in it",
    "7z": "unpack it, and give the mesh that is in it",
    "rar": "unpack it, and give the mesh that is in it",
    "gzip": "unpack it, and give the mesh that is in it",
    "step": "it describes solids by their surfaces; export a mesh from the CAD program, e.g. as STL",
    "png": "it is a picture; image_to_mesh takes pictures",
    "jpeg": "it is a picture; image_to_mesh takes pictures",
    "html": "it is a web page, often one that says why a download failed; load the file again",
    "a git-lfs pointer": "it stands for a file that Git LFS has; load that one",
}


def kind_of(data: bytes, suffix: str, read: Sequence[str]) -> str:
    """The format in which to read a file.

    Args:
        data: all of it.
        suffix: of its name.
        read: the formats that are read, as their suffixes.

    Raises:
        Refused: it is surely of another format, which is not read.
    """
    kind = _sure(data)
    if kind is None or kind == suffix or (kind, suffix) in (("glb", "vrm"), ("zip", "3mf")):
        return suffix
    if kind in read:
        return kind
    advice = _ADVICE.get(kind, f"export it as {read[0].upper()}")
    raise Refused(
        f"its name says {suffix.upper()}, its content is {kind.upper() if kind.isalnum() else kind}; {advice}"
    )


def _sure(data: bytes) -> str | None:
    """The format, where the file's first bytes leave no doubt."""
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if data.startswith(b"PK\x03\x04"):
        return "zip"
    if data.startswith(b"MM") and int.from_bytes(data[2:6], "little") == len(data):
        return "3ds"
    # A binary STL may begin with any words.
    if len(data) >= 84 and len(data) == 84 + int.from_bytes(data[80:84], "little") * 50:
        return "stl"
    text = plain_text(data[:_HEAD]).lstrip()
    lower = text[:200].lower()
    if b"<COLLADA" in text:
        return "dae"
    if lower.startswith((b"<!doctype html", b"<html")):
        return "html"
    if lower.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer"
    if lower.startswith((b"off\n", b"coff\n", b"off ", b"noff\n", b"cnoff\n")):
        return "off"
    if lower.startswith(b"solid") and b"facet" in text.lower() and b"\0" not in text:
        return "stl"
    if lower.startswith(b"{") and b'"asset"' in data[:1_000_000]:
        return "gltf"
    return None
