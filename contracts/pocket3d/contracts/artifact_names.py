"""What files are called as artifacts. Workers give names by this rule, and agents take no other from them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_PART_CHARS = 120
_NAME_CHARS = 1000


def artifact_name(relative: str) -> str:
    """A path with / as separator, each part of `[A-Za-z0-9._-]`, at most 120 characters, not starting with . or -."""
    return "/".join(_safe_part(part) for part in relative.split("/"))


def is_artifact_name(name: str) -> bool:
    """True for a name of that form, of at most 1000 characters. A number that tells two files apart may make a part
    longer than 120.
    """
    return len(name) <= _NAME_CHARS and _NAME.fullmatch(name) is not None


def _safe_part(part: str) -> str:
    clean = _UNSAFE.sub("_", part)
    if clean[:1] in (".", "-"):
        clean = f"_{clean[1:]}"
    if len(clean) <= _PART_CHARS:
        return clean or "_"
    suffix = PurePosixPath(clean).suffix[:16]
    return clean[: _PART_CHARS - len(suffix)] + suffix
