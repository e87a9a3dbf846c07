"""Many small pictures on one, each with its title: to see at a glance what a run of jobs made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

_TILE = 256
_GAP = 12
_TEXT_ROWS = 2
_ROW = 16
_BACKGROUND = (245, 245, 242)
_INK = (40, 40, 40)
_FAINT = (110, 110, 110)


class Tile(NamedTuple):
    """One picture; None where there is none to show."""

    title: str
    note: str
    picture: Path | None


def contact_sheet(tiles: Sequence[Tile], target: Path) -> None:
    """Write a PNG with all pictures in reading order, as square as possible.

    Pictures are scaled to fit 256 x 256 pixels.

    Raises:
        ValueError: no tiles.
        OSError: a picture cannot be read, or the file not written.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not tiles:
        raise ValueError("a contact sheet of nothing")
    across = math.ceil(math.sqrt(len(tiles)))
    down = math.ceil(len(tiles) / across)
    height = _TILE + _TEXT_ROWS * _ROW + _GAP
    sheet = Image.new("RGB", (across * (_TILE + _GAP) + _GAP, down * height + _GAP), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=12)
    for number, tile in enumerate(tiles):
        left = _GAP + number % across * (_TILE + _GAP)
        top = _GAP + number // across * height
        if tile.picture is not None:
            with Image.open(tile.picture) as opened:
                picture = opened.convert("RGBA")
            picture.thumbnail((_TILE, _TILE))
            place = (left + (_TILE - picture.width) // 2, top + (_TILE - picture.height) // 2)
            sheet.paste(picture, place, picture)
        else:
            draw.rectangle((left, top, left + _TILE, top + _TILE), outline=_FAINT)
            draw.text((left + 8, top + 8), "no picture", fill=_FAINT, font=font)
        for row, (text, ink) in enumerate(((tile.title, _INK), (tile.note, _FAINT))):
            draw.text((left, top + _TILE + 2 + row * _ROW), _fitting(text, font), fill=ink, font=font)
    sheet.save(target)


def _fitting(text: str, font: Any) -> str:
    shown = text
    while text and font.getlength(shown) > _TILE:
        text = text[:-1]
        shown = text + "..."
    return shown
