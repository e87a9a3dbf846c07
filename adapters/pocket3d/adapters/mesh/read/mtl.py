"""MTL: the materials of an OBJ file that came along with it, their colour and its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ..image_input import check_readable, open_image, picture_formats, refusing
from .limits import Refused, bring_along
from .text_lines import plain_text

_MAX_MATERIALS = 2_000
#: Options of a texture's line, and how many words follow each.
_OPTIONS = {"-s": 3, "-o": 3, "-t": 3, "-mm": 2, "-bm": 1, "-blendu": 1, "-blendv": 1, "-cc": 1, "-clamp": 1}
_OPTIONS |= {"-imfchan": 1, "-texres": 1, "-boost": 1, "-type": 1}


def looks_of(libraries: Sequence[str], files: Mapping[str, bytes]) -> tuple[dict[str, Any], list[str]]:
    """The materials by name, as trimesh has them; and what is not there or left out, for people.

    Args:
        libraries: names of .mtl files.
        files: by path; names are looked up by their last part, in any case.

    Raises:
        Refused: a picture is broken or too large.
    """
    by_name = {PurePosixPath(path).name.lower(): content for path, content in files.items()}
    looks: dict[str, Any] = {}
    ignored: list[str] = []
    for library in libraries:
        content = by_name.get(_last(library))
        if content is None:
            ignored.append(f"material library {library[:80]!r}: it did not come along; {bring_along('.obj')}")
            continue
        looks.update(_materials(content, by_name, ignored))
    return looks, ignored


def _last(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name.lower()


def _materials(data: bytes, files: Mapping[str, bytes], ignored: list[str]) -> dict[str, Any]:
    import trimesh.visual.material

    material: Any = trimesh.visual.material.SimpleMaterial
    facts: dict[str, dict[str, Any]] = {}
    own: dict[str, Any] = {}
    for line in plain_text(data).decode("utf-8", "replace").split("\n"):
        word, _, rest = line.strip().partition(" ")
        word, rest = word.lower(), rest.strip()
        if word == "newmtl" and len(facts) < _MAX_MATERIALS:
            own = facts.setdefault(rest, {})
        elif word == "kd":
            own["colour"] = _numbers(rest, 3)
        elif word in ("d", "tr"):
            opacity = _numbers(rest, 1)
            if opacity is not None:
                own["alpha"] = opacity[0] if word == "d" else 1 - opacity[0]
        elif word in ("pm", "pr"):
            # Metal and roughness, of the widely read extension of MTL for physically based materials.
            share = _numbers(rest, 1)
            if share is not None and 0 <= share[0] <= 1:
                own.setdefault("shares", {})[word] = share[0]
        elif word == "map_kd":
            own["picture"] = _texture(rest)
        elif word.startswith(("map_", "bump", "norm", "disp", "refl")):
            own["further"] = True
    looks: dict[str, Any] = {}
    pictures: dict[str, Any] = {}
    for name, fact in facts.items():
        alpha = min(max(fact.get("alpha", 1.0), 0.0), 1.0)
        colour = [round(min(max(c, 0.0), 1.0) * 255) for c in fact.get("colour") or (0.8, 0.8, 0.8)]
        picture = fact.get("picture")
        if picture and picture not in pictures:
            pictures[picture] = _image(picture, files, ignored)
        shares = fact.get("shares", {})
        image = pictures[picture] if picture else None
        look = material(image=image, diffuse=[*colour, round(alpha * 255)], **shares)
        look.name = name
        looks[name] = look
        if fact.get("further"):
            ignored.append(f"further maps of material {name[:80]!r}: only the picture of its colour is read")
    return looks


def _numbers(text: str, count: int) -> list[float] | None:
    try:
        return [float(each) for each in text.split()[:count]] if len(text.split()) >= count else None
    except ValueError:
        return None


def _texture(text: str) -> str:
    """The name of the file behind the options."""
    words = text.split()
    while words and words[0] in _OPTIONS:
        words = words[1 + _OPTIONS[words[0]] :]
    return " ".join(words)


def _image(name: str, files: Mapping[str, bytes], ignored: list[str]) -> Any:
    content = files.get(_last(name))
    if content is None:
        ignored.append(f"picture {name[:80]!r}: it did not come along")
        return None
    try:
        check_readable(content)
        image = open_image(content, picture_formats())
        with refusing():
            image.load()
    except Refused as error:
        raise Refused(f"its picture {name[:80]!r}: {error}") from error
    return image
