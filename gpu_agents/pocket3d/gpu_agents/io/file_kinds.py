"""What kind of file something is: by its first bytes when it has no name, and its media type by its suffix. Pure."""

from __future__ import annotations

from pathlib import PurePosixPath

#: How many bytes `suffix_of` wants to see.
MAGIC_BYTES = 512

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"glTF", ".glb"),
    (b"Kaydara FBX Binary", ".fbx"),
    (b"ply\n", ".ply"),
    (b"ply\r\n", ".ply"),
    (b"PK\x03\x04", ".zip"),
    (b"\x93NUMPY", ".npy"),
    (b"BLENDER", ".blend"),
)
_MEDIA_TYPES = {
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".obj": "model/obj",
    ".mtl": "model/mtl",
    ".stl": "model/stl",
    ".ply": "model/ply",
    ".3mf": "model/3mf",
    ".usdz": "model/vnd.usdz+zip",
    ".dae": "model/vnd.collada+xml",
    # Neither has a registered type.
    ".fbx": "application/octet-stream",
    ".splat": "application/octet-stream",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".tif": "image/tiff",
    ".bmp": "image/bmp",
    ".mp4": "video/mp4",
    ".json": "application/json",
    ".txt": "text/plain",
    ".npz": "application/zip",
    ".zip": "application/zip",
}


def suffix_of(head: bytes) -> str:
    """The suffix that a file's first bytes ask for, with its dot; empty if they are not known."""
    for magic, suffix in _MAGIC:
        if head.startswith(magic):
            return suffix
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    text = head.lstrip()
    if b"<COLLADA" in text:
        return ".dae"
    if text.startswith(b"; FBX"):
        return ".fbx"
    if text.startswith(b"{") and b'"asset"' in head:
        return ".gltf"
    if text.startswith(b"solid"):
        return ".stl"
    lines = [line.split() for line in text.splitlines()[:20]]
    if any(len(line) >= 4 and line[0] == b"v" for line in lines):
        return ".obj"
    return ""


def media_type(name: str) -> str:
    """The media type of a file by its name."""
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
