"""Makes the mesh of a request in one of three ways: from words, from a photograph, or from both."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...mesh.write import Material, MeshPart
from ..procedural.assembly import assemble
from ..procedural.grammar import parse
from ..silhouette.options import PhotoOptions
from ..silhouette.recolour import recoloured
from ..silhouette.reconstruction import from_photograph
from ..texturing.painting import paint_scene, split_at_creases
from ..texturing.words import Understood, understand
from .two_sides import front_and_back

Step = Callable[[float, str], None]
#: Of the time, what goes to the shape where a surface is painted too.
_SHAPE_SHARE = 0.4


#: The parts to write, and facts for `generation_info`.
Output = tuple[list[MeshPart], dict[str, Any]]


def from_text(text: str, options: PhotoOptions, device: str, step: Step) -> Output:
    """Build what the words name, by the shape grammar. Raises `PromptError` as `parse` does."""
    scene = parse(text)
    made = assemble(scene, options.seed, device, step)
    said = {"understood": scene.understood(), "ignored": made.ignored, "notes": made.notes}
    return made.parts, {"model": "procedural shape grammar", **said}


def from_photo(path: Path, field: str, options: PhotoOptions, device: str, step: Step) -> Output:
    """Inflate the photograph's subject; it keeps its colours. Raises as `from_photograph` does."""
    found = from_photograph(path, field, options, device, step)
    return [found.part], {"model": "silhouette inflation", **found.facts}


def from_both(path: Path, field: str, text: str, options: PhotoOptions, device: str, step: Step) -> Output:
    """Inflate the photograph's subject and give it the surface that the words name.

    Words that say nothing of a surface name the subject, which the photograph shows: it keeps its colours. One colour
    is laid over the photograph, whose light and shade stay; patterns are painted anew.

    Raises:
        InvalidInput: as `from_photograph`.
        PromptError: as `understand`.
    """
    wanted = understand(without_subject(text), beside_picture=True)
    painted = wanted.pattern not in ("", "plain")
    share = _SHAPE_SHARE if painted else 1.0
    found = from_photograph(path, field, options, device, lambda done, stage: step(share * done, stage))
    facts = {"model": "silhouette inflation", **found.facts, "understood": wanted.recognised, "ignored": wanted.ignored}
    if not painted:
        part, surface = _in_its_own_texture(found.part, wanted)
        return [part], {**facts, "surface": surface}
    part = found.part
    bare = split_at_creases(part.name, part.vertices, part.faces, part.normals)
    made = paint_scene(
        [bare],
        wanted,
        options.seed,
        options.texture_resolution,
        device,
        lambda done, stage: step(_SHAPE_SHARE + (1 - _SHAPE_SHARE) * done, stage),
        laid_out=[front_and_back(bare.vertices, bare.faces)],
    )
    facts["model"] = "silhouette inflation with a procedural solid texture"
    return made.parts, {**facts, "surface": f"painted: {wanted.pattern}", **made.facts}


def _in_its_own_texture(part: MeshPart, wanted: Understood) -> tuple[MeshPart, str]:
    """The part with its photograph, recoloured and with another finish where that was asked for, and what was done."""
    material = Material("photograph", (1.0, 1.0, 1.0), metallic=wanted.metallic, roughness=wanted.roughness)
    if "colours" not in wanted.recognised or part.texture is None:
        return part._replace(material=material), "the photograph's own colours"
    texture = recoloured(part.texture, wanted.palette[0])
    return part._replace(material=material, texture=texture), "the photograph, in another colour"


#: Words for colours that are things, too, where an article stands before them and nothing behind.
_THINGS = (
    "orange|lemon|lime|peach|plum|olive|rose|salmon|chocolate|tomato|coral|violet|lavender|gold ?fish|silver ?ware"
)
_THING = re.compile(
    rf"\b(an?|the|one|this|my)\s+({_THINGS})\b(?=\s*($|[.,;]|\b(?:on|in|with|at|under|from|and)\b))", re.IGNORECASE
)


def without_subject(text: str) -> str:
    """The prompt without colours' names that name its subject: "an orange" beside a photograph is the fruit."""
    return _THING.sub(r"\1", text)
