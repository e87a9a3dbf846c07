"""Meshes as 3MF (core specification 1.3, and colours of the materials extension 1.2). Text is made of whole tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from .mesh_part import Material, MeshPart
from .plain_files import parts_offset, vertex_colours
from .stored_zip import zip_bytes
from .text_rows import rows_text

#: The units of the format, by their length in metres.
UNITS = {"micron": 1e-6, "millimeter": 1e-3, "centimeter": 1e-2, "inch": 0.0254, "foot": 0.3048, "meter": 1.0}
_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_COLOURS = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_TYPES = f"""{_XML}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>
</Types>
"""
_RELATIONS = f"""{_XML}<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Target="/3D/3dmodel.model" Id="rel0" Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/>
</Relationships>
"""


def threemf_bytes(parts: Sequence[MeshPart], unit: float = 1.0) -> bytes:
    """A 3MF file: an object for each part, with its material's colour, or colours at its corners.

    Args:
        parts: what is written; a picture becomes colours at the vertices.
        unit: the length of one of their units in metres, one of `UNITS`.
    """
    name = next(name for name, length in UNITS.items() if length == unit)
    materials = list(dict.fromkeys(part.material for part in parts))
    pieces = [
        f'{_XML}<model unit="{name}" xml:lang="en-US" xmlns="{_CORE}" xmlns:m="{_COLOURS}">\n<resources>\n'
        '<basematerials id="1">\n'.encode()
    ]
    pieces += [_base(each).encode() for each in materials]
    pieces.append(b"</basematerials>\n")
    # Nine digits are what single precision holds, at any size.
    digits = 9 if parts_offset(parts) is None else 15
    identities: list[int] = []
    free = 2
    for part in parts:
        group = None
        if part.colours is not None or part.texture is not None:
            group, free = free, free + 1
        identities.append(free)
        pieces += _object(part, free, materials.index(part.material), group, digits)
        free += 1
    items = "".join(f'<item objectid="{identity}"/>\n' for identity in identities)
    pieces.append(f"</resources>\n<build>\n{items}</build>\n</model>\n".encode())
    files = {"[Content_Types].xml": _TYPES.encode(), "_rels/.rels": _RELATIONS.encode()}
    return zip_bytes({**files, "3D/3dmodel.model": b"".join(pieces)})


def _base(material: Material) -> str:
    shares = [*material.colour, material.alpha]
    colour = "".join(f"{round(min(max(share, 0), 1) * 255):02X}" for share in shares)
    return f'<base name={quoteattr(_plain(material.name))} displaycolor="#{colour}"/>\n'


def _object(part: MeshPart, identity: int, material: int, group: int | None, digits: int) -> list[bytes]:
    pieces: list[bytes] = []
    triangle = '<triangle v1="%d" v2="%d" v3="%d"/>'
    corners: npt.NDArray[Any] = np.asarray(part.faces)
    if group is not None:
        shown, places = np.unique(vertex_colours(part), axis=0, return_inverse=True)
        colours = rows_text('<m:color color="#%02X%02X%02X%02X"/>', shown, whole=True)
        pieces += [f'<m:colorgroup id="{group}">\n'.encode(), colours, b"</m:colorgroup>\n"]
        triangle = f'<triangle v1="%d" v2="%d" v3="%d" pid="{group}" p1="%d" p2="%d" p3="%d"/>'
        corners = np.concatenate([corners, places.reshape(-1)[corners]], axis=1)
    name = quoteattr(_plain(part.name))
    vertex = " ".join(f'{axis}="%.{digits}g"' for axis in "xyz")
    return [
        *pieces,
        f'<object id="{identity}" type="model" name={name} pid="1" pindex="{material}">\n'.encode(),
        b"<mesh>\n<vertices>\n",
        rows_text(f"<vertex {vertex}/>", part.vertices),
        b"</vertices>\n<triangles>\n",
        rows_text(triangle, corners, whole=True),
        b"</triangles>\n</mesh>\n</object>\n",
    ]


def _plain(name: str) -> str:
    """Without characters that XML cannot hold."""
    return "".join(
        each for each in name if each >= " " and each not in "\ufffe\uffff" and not "\ud800" <= each <= "\udfff"
    )
