"""Makes the mesh of a request in one of three ways: from words, from a photograph, or from both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ...mesh.write import MeshPart
from ..procedural.assembly import assemble
from ..procedural.grammar import parse
from ..silhouette.options import PhotoOptions
from ..silhouette.reconstruction import from_photograph
from ..texturing.painting import paint_scene, split_at_creases
from ..texturing.words import understand
from ..unwrapping.layout import NoUnwrap

Step = Callable[[float, str], None]
#: Of the time, what goes to the shape where a surface is painted too.
_SHAPE_SHARE = 0.4


#: The parts to write, and facts for `generation_info`.
Output = tuple[list[MeshPart], dict[str, Any]]


def from_text(text: str, options: PhotoOptions, device: str, step: Step) -> Output:
    """Build what the words name, by the shape grammar. Raises `PromptError` as `parse` does."""
    scene = parse(text)
    made = assemble(scene, options.seed, device, step)
    facts = {"model": "procedural shape grammar", "understood": scene.understood(), "ignored": made.ignored}
    return made.parts, facts


def from_photo(path: Path, field: str, options: PhotoOptions, device: str, step: Step) -> Output:
    """Inflate the photograph's subject; it keeps its colours. Raises as `from_photograph` does."""
    found = from_photograph(path, field, options, device, step)
    return [found.part], {"model": "silhouette inflation", **found.facts}


def from_both(path: Path, field: str, text: str, options: PhotoOptions, device: str, step: Step) -> Output:
    """Inflate the photograph's subject and give it the surface that the words name.

    Raises:
        InvalidInput: as `from_photograph`; or the surface could not be unwrapped.
        PromptError: as `understand`.
    """
    wanted = understand(text)
    found = from_photograph(path, field, options, device, lambda share, stage: step(_SHAPE_SHARE * share, stage))
    part = found.part
    bare = split_at_creases(part.name, part.vertices, part.faces, part.normals)
    try:
        surface = paint_scene(
            [bare],
            wanted,
            options.seed,
            options.texture_resolution,
            device,
            lambda share, stage: step(_SHAPE_SHARE + (1 - _SHAPE_SHARE) * share, stage),
        )
    except NoUnwrap as error:
        raise InvalidInput(f"{path.name}: {error}", field) from error
    facts = {
        "model": "silhouette inflation with a procedural solid texture",
        **found.facts,
        "understood": wanted.recognised,
        "ignored": wanted.ignored,
        **surface.facts,
    }
    return surface.parts, facts
