"""Draws every noun of the shape grammar on one sheet for the docs: `python tests/support/contact_sheet.py`.

With `--sizes` it only writes `procedural/proportions.py`, the sides of each recipe: needed after a recipe changed.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import torch
import trimesh
from PIL import Image, ImageDraw, ImageFont

from pocket3d.adapters.mesh.thumbnail import draw_scene
from pocket3d.adapters.mesh.write import glb_bytes
from pocket3d.adapters.weight_free.procedural import proportions
from pocket3d.adapters.weight_free.procedural.assembly import assemble
from pocket3d.adapters.weight_free.procedural.forming import shape_of
from pocket3d.adapters.weight_free.procedural.nouns import NOUNS
from pocket3d.adapters.weight_free.procedural.scene import ObjectRequest, Scene
from pocket3d.adapters.weight_free.procedural.solids import Kit, bounds

SHEET = Path(__file__).parents[2] / "docs" / "images" / "shape-grammar.webp"
_TILE, _LABEL, _ACROSS = 76, 11, 26


def sides(name: str, kit: Kit) -> tuple[float, ...]:
    """Width, height and depth of a recipe, the longest as 1."""
    low, high = bounds(torch.cat([shape_of(kit, s).vertices for part in NOUNS[name].recipe for s in part.shapes]))
    longest = max(b - a for a, b in zip(low, high, strict=True))
    return tuple(round((b - a) / longest, 4) for a, b in zip(low, high, strict=True))


def write_sizes() -> None:
    """Write `proportions.py`."""
    kit = Kit()
    known = [f'"{name}": {sides(name, kit)},' for name in sorted(NOUNS) if NOUNS[name].recipe]
    lines = [
        '"""Written by `tests/support/contact_sheet.py`: width, height and depth of each recipe, the longest as 1."""',
        "",
        "PROPORTIONS: dict[str, tuple[float, float, float]] = {",
        *("    " + " ".join(known[at : at + 2]) for at in range(0, len(known), 2)),
        "}  # fmt: skip",
    ]
    Path(proportions.__file__).write_text("\n".join(lines) + "\n", encoding="utf-8")


def picture(name: str, size: int) -> Any:
    """One noun, as its thumbnail."""
    made = assemble(Scene((ObjectRequest(name, name),), (), ()))
    return draw_scene(trimesh.load(io.BytesIO(glb_bytes(made.parts)), file_type="glb"), size)


def sheet(names: list[str], tile: int, across: int) -> Image.Image:
    """All of them with labels, in reading order."""
    font = ImageFont.load_default(size=9)
    down = -(-len(names) // across)
    image = Image.new("RGB", (across * tile, down * (tile + _LABEL)), "white")
    draw = ImageDraw.Draw(image)
    for number, name in enumerate(names):
        x, y = number % across * tile, number // across * (tile + _LABEL)
        drawn = picture(name, tile)
        if drawn is not None:
            image.paste(drawn, (x, y))
        draw.text((x + 2, y + tile - 1), name, fill="black", font=font)
    return image


if __name__ == "__main__":
    if "--sizes" in sys.argv:
        write_sizes()
    else:
        sheet(sorted(NOUNS), _TILE, _ACROSS).save(SHEET, quality=72, method=6)
