"""Takes channels out of a GLB document's animations (glTF 2.0, section 3.11). Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def without_channels(raw: dict[str, Any], goes: Callable[[int, str], bool]) -> list[str]:
    """Take channels out of the animations, and those animations of which nothing is left.

    Args:
        raw: the document, which is changed.
        goes: called with the node that a channel moves and what of it: `translation`, `rotation`, `scale`, `weights`.

    Returns:
        The animations of which something went, each with its name and how much, for people.
    """
    told: list[str] = []
    left: list[dict[str, Any]] = []
    for number, animation in enumerate(raw.get("animations", ())):
        channels = animation.get("channels", [])
        kept = [each for each in channels if not _goes(each.get("target", {}), goes)]
        if len(kept) < len(channels):
            name = repr(str(animation.get("name") or number)[:60])
            share = "" if not kept else f" ({len(channels) - len(kept)} of its {len(channels)} channels)"
            told.append(f"{name}{share}")
            _keep(animation, kept)
        if kept or not channels:
            left.append(animation)
    if "animations" in raw:
        raw["animations"] = left
        if not left:
            del raw["animations"]
    return told


def _goes(target: dict[str, Any], goes: Callable[[int, str], bool]) -> bool:
    return isinstance(target.get("node"), int) and goes(target["node"], str(target.get("path")))


def _keep(animation: dict[str, Any], channels: list[dict[str, Any]]) -> None:
    """Leave an animation these channels, and the samplers that they name."""
    used = sorted({each["sampler"] for each in channels})
    numbers = {old: new for new, old in enumerate(used)}
    animation["samplers"] = [animation["samplers"][number] for number in used]
    animation["channels"] = [{**each, "sampler": numbers[each["sampler"]]} for each in channels]
