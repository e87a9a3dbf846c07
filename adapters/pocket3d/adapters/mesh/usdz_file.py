"""Meshes as USDZ (specification 1.3): a text layer of USD and its pictures, stored and aligned in a zip.

Surfaces are UsdPreviewSurface. Colours are linear there, as in glTF.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .mesh_part import Material, MeshPart, png_bytes
from .plain_files import EDGE, parts_offset
from .srgb import from_srgb
from .stored_zip import zip_bytes
from .text_rows import rows_text
from .triangles import FloatArray

_ALIGNED = 64
_HEAD = """#usda 1.0
(
    defaultPrim = "Model"
    metersPerUnit = 1
    upAxis = "Y"
)

def Xform "Model" (
    kind = "component"
)
{
"""
_TEXTURED = """
            color3f inputs:diffuseColor.connect = <{place}/Picture.outputs:rgb>{rest}
        }}
        def Shader "Picture"
        {{
            uniform token info:id = "UsdUVTexture"
            asset inputs:file = @{picture}@
            float2 inputs:st.connect = <{place}/Coordinates.outputs:result>
            token inputs:wrapS = "{wrap}"
            token inputs:wrapT = "{wrap}"
            token inputs:sourceColorSpace = "sRGB"
            float4 inputs:scale = ({colour}, 1)
            float3 outputs:rgb
        }}
        def Shader "Coordinates"
        {{
            uniform token info:id = "UsdPrimvarReader_float2"
            string inputs:varname = "st"
            float2 outputs:result
        }}
"""
_COLOURED = """
            color3f inputs:diffuseColor.connect = <{place}/Colours.outputs:result>{rest}
        }}
        def Shader "Colours"
        {{
            uniform token info:id = "UsdPrimvarReader_float3"
            string inputs:varname = "displayColor"
            float3 outputs:result
        }}
"""
_PLAIN = """
            color3f inputs:diffuseColor = ({colour}){rest}
        }}
"""


def usdz_bytes(parts: Sequence[MeshPart]) -> bytes:
    """A USDZ file: a mesh for each part, in metres, +Y up, with its material."""
    taken: set[str] = set()
    pictures: dict[int, str] = {}
    files: dict[str, bytes] = {}
    looks: dict[Any, str] = {}
    surfaces: list[str] = []
    # Places are in single precision: what lies far off is moved there by its node.
    offset = parts_offset(parts)
    pieces = [_HEAD.encode()]
    for part in parts:
        picture = None
        if part.texture is not None and part.uv is not None:
            picture = pictures.setdefault(id(part.texture), f"textures/{len(pictures)}.png")
            if picture not in files:
                files[picture] = png_bytes(part.texture)
        wrap = "repeat" if part.uv is not None and _reaches_beyond(part.uv) else "clamp"
        coloured = part.colours is not None and picture is None
        key = (part.material, picture, wrap if picture else "", coloured)
        if key not in looks:
            looks[key] = _identifier(part.material.name, taken)
            surfaces.append(_surface(looks[key], part.material, picture, wrap, coloured))
        pieces += _mesh(part, _identifier(part.name, taken), looks[key], offset)
    pieces.append(f'    def Scope "Looks"\n    {{\n{"".join(surfaces)}    }}\n}}\n'.encode())
    return zip_bytes({"model.usda": b"".join(pieces), **files}, packed=False, aligned=_ALIGNED)


def _reaches_beyond(uv: FloatArray) -> bool:
    return bool(((uv < -EDGE) | (uv > 1 + EDGE)).any())


def _identifier(name: str, taken: set[str]) -> str:
    """A name of a prim: letters, figures and _; equal ones are numbered."""
    base = re.sub(r"[^A-Za-z0-9_]", "_", name)[:60] or "unnamed"
    base = f"_{base}" if base[0].isdigit() else base
    number, found = 1, base
    while found in taken or found in ("Model", "Looks"):
        number += 1
        found = f"{base}_{number}"
    taken.add(found)
    return found


def _label(name: str) -> str:
    """The name as people gave it, as a string of USD, whose escapes are those of JSON but for \\u."""
    return json.dumps("".join(each for each in name if each >= " "), ensure_ascii=False)


def _mesh(part: MeshPart, name: str, look: str, offset: FloatArray | None) -> list[bytes]:
    places = part.vertices if offset is None else part.vertices - offset
    low, high = (_row(each) for each in (places.min(axis=0), places.max(axis=0)))
    several = b' (\n                interpolation = "vertex"\n            )\n'
    pieces = [
        f'    def Mesh "{name}" (\n        displayName = {_label(part.name)}\n'
        '        prepend apiSchemas = ["MaterialBindingAPI"]\n    )\n    {\n'
        f"            float3[] extent = [({low}), ({high})]\n".encode(),
        *_array("int[] faceVertexCounts", "%d", np.full((len(part.faces), 1), 3), whole=True),
        b"\n",
        *_array("int[] faceVertexIndices", "%d, %d, %d", part.faces, whole=True),
        b"\n",
        *_array("point3f[] points", "(%.9g, %.9g, %.9g)", places),
        b"\n",
        *_array("normal3f[] normals", "(%.6g, %.6g, %.6g)", part.normals),
        several,
    ]
    if part.uv is not None:
        # USD counts v from the lower edge.
        lower = np.stack([part.uv[:, 0], 1 - part.uv[:, 1]], axis=1)
        pieces += [*_array("texCoord2f[] primvars:st", "(%.7g, %.7g)", lower), several]
    if part.colours is not None:
        shares = part.colours / 255
        colours = from_srgb(shares[:, :3]) * from_srgb(np.array(part.material.colour))
        pieces += [*_array("color3f[] primvars:displayColor", "(%.6g, %.6g, %.6g)", colours), several]
        if (part.colours[:, 3] < 255).any():
            pieces += [*_array("float[] primvars:displayOpacity", "%.4g", shares[:, 3:]), several]
    if offset is not None:
        moved = ", ".join(f"{value:.17g}" for value in offset.tolist())
        pieces.append(f"            double3 xformOp:translate = ({moved})\n".encode())
        pieces.append(b'            uniform token[] xformOpOrder = ["xformOp:translate"]\n')
    return [
        *pieces,
        b'            uniform token subdivisionScheme = "none"\n',
        f"            rel material:binding = </Model/Looks/{look}>\n    }}\n".encode(),
    ]


def _array(name: str, row: str, table: Any, *, whole: bool = False) -> list[bytes]:
    values = rows_text(row, table, end=", ", whole=whole)
    return [f"            {name} = [".encode(), values[:-2], b"]"]


def _row(values: Any) -> str:
    return ", ".join(f"{value:.9g}" for value in values)


def _surface(name: str, material: Material, picture: str | None, wrap: str, coloured: bool) -> str:
    place = f"/Model/Looks/{name}"
    rest = f"""
            float inputs:metallic = {material.metallic:.6g}
            float inputs:roughness = {material.roughness:.6g}
            float inputs:opacity = {material.alpha:.6g}
            token outputs:surface"""
    body = _TEXTURED if picture is not None else _COLOURED if coloured else _PLAIN
    colour = _row(from_srgb(np.array(material.colour)))
    return f"""        def Material "{name}" (
            displayName = {_label(material.name)}
        )
        {{
        token outputs:surface.connect = <{place}/Surface.outputs:surface>
        def Shader "Surface"
        {{
            uniform token info:id = "UsdPreviewSurface"{
        body.format(place=place, picture=picture, wrap=wrap, colour=colour, rest=rest)
    }        }}
"""
