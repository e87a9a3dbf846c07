"""Small FBX (text) and COLLADA files, as exporters write them."""

from __future__ import annotations

import base64
import io

#: A box's corners; each side is a polygon of four.
SIDES = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))


def corners(sides: tuple[float, float, float]) -> list[tuple[float, ...]]:
    """Eight corners of a box that stands with one of them at the origin."""
    x, y, z = sides
    return [(0, 0, 0), (x, 0, 0), (x, y, 0), (0, y, 0), (0, 0, z), (x, 0, z), (x, y, z), (0, y, z)]


def png(colour: tuple[int, int, int] = (200, 10, 10), form: str = "PNG") -> bytes:
    """A small picture of one colour."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(buffer, form)
    return buffer.getvalue()


def _numbers(values: object) -> str:
    rows = values if isinstance(values, (list, tuple)) else [values]
    return ",".join(_numbers(each) if isinstance(each, (list, tuple)) else f"{each:g}" for each in rows)


def dae(
    sides: tuple[float, float, float] = (1, 2, 3),
    *,
    unit: float = 1.0,
    up: str = "Y_UP",
    diffuse: str = "<color>0.8 0.1 0.1 1</color>",
    head: str = "",
    more: str = "",
    colours: str = "",
) -> bytes:
    """A box of two nodes, one below the other, the lower one moved by (10, 0, 0)."""
    places = _numbers(corners(sides)).replace(",", " ")
    uv = "0 0 1 0 1 1 0 1"
    step = 3 if colours else 2
    coloured = '<input semantic="COLOR" source="#c" offset="2" set="0"/>' if colours else ""
    corner = "".join(
        f" {corner} {turn}" + (f" {corner}" if colours else "") for side in SIDES for turn, corner in enumerate(side)
    )
    assert len(corner.split()) == 24 * step
    source = (
        f'<source id="c"><float_array id="ca" count="24">{colours}</float_array><technique_common>'
        '<accessor source="#ca" count="8" stride="3"><param name="R" type="float"/><param name="G" type="float"/>'
        '<param name="B" type="float"/></accessor></technique_common></source>'
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>{head}
<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">
<asset><unit name="unit" meter="{unit}"/><up_axis>{up}</up_axis></asset>
<library_images><image id="i" name="i"><init_from>textures/skin%20one.png</init_from></image></library_images>
<library_effects><effect id="e"><profile_COMMON>
<newparam sid="s"><surface type="2D"><init_from>i</init_from></surface></newparam>
<newparam sid="t"><sampler2D><source>s</source></sampler2D></newparam>
<technique sid="common"><phong><diffuse>{diffuse}</diffuse></phong></technique></profile_COMMON></effect>
</library_effects>
<library_materials><material id="m" name="paint"><instance_effect url="#e"/></material></library_materials>
<library_geometries><geometry id="g" name="crate"><mesh>
<source id="p"><float_array id="pa" count="24">{places}</float_array><technique_common>
<accessor source="#pa" count="8" stride="3"><param name="X" type="float"/><param name="Y" type="float"/>
<param name="Z" type="float"/></accessor></technique_common></source>
<source id="u"><float_array id="ua" count="8">{uv}</float_array><technique_common>
<accessor source="#ua" count="4" stride="2"><param name="S" type="float"/><param name="T" type="float"/></accessor>
</technique_common></source>{source if colours else ""}
<vertices id="v"><input semantic="POSITION" source="#p"/></vertices>
<polylist material="M" count="6"><input semantic="VERTEX" source="#v" offset="0"/>
<input semantic="TEXCOORD" source="#u" offset="1" set="0"/>{coloured}
<vcount>4 4 4 4 4 4</vcount><p>{corner}</p></polylist></mesh></geometry></library_geometries>{more}
<library_visual_scenes><visual_scene id="scene"><node id="n1" name="above"><node id="n2" name="crate">
<translate>10 0 0</translate><instance_geometry url="#g"><bind_material><technique_common>
<instance_material symbol="M" target="#m"><bind_vertex_input semantic="UVMap" input_semantic="TEXCOORD" input_set="0"/>
</instance_material></technique_common></bind_material></instance_geometry></node></node></visual_scene>
</library_visual_scenes><scene><instance_visual_scene url="#scene"/></scene></COLLADA>""".encode()


def fbx(
    sides: tuple[float, float, float] = (1, 2, 3),
    *,
    unit: float = 1.0,
    up: int = 1,
    picture: bytes | None = None,
    claimed: int = 24,
    animated: bool = False,
) -> bytes:
    """A text FBX of a box, moved by (10, 0, 0).

    Args:
        sides: of the box in units.
        unit: centimetres of one.
        up: the axis that points up: 1 for y, 2 for z.
        picture: inside, on the surface.
        claimed: how many numbers it says its places have.
        animated: with an animation of its node.
    """
    front, sign = (2, 1) if up == 1 else (1, -1)
    polygons = ",".join(f"{a},{b},{c},{-d - 1}" for a, b, c, d in SIDES)
    uv = _numbers([(0, 0), (1, 0), (1, 1), (0, 1)] * 6)
    content = "" if picture is None else base64.b64encode(picture).decode()
    texture = f"""
  Texture: 5, "Texture::skin", "" {{ Type: "TextureVideoClip"
   FileName: "C:\\\\art\\\\skin.png"
   RelativeFilename: "skin.png" }}
  Video: 6, "Video::skin", "Clip" {{ Type: "Clip"
   FileName: "C:\\\\art\\\\skin.png"
   RelativeFilename: "skin.png"
   Content: ,
    "{content}" }}"""
    links = '\n  C: "OO",6,5\n  C: "OP",5,4, "DiffuseColor"'
    animation = """
  AnimationStack: 10, "AnimStack::Take", "" { }
  AnimationLayer: 11, "AnimLayer::Base", "" { }
  AnimationCurveNode: 12, "AnimCurveNode::T", "" { Properties70: { P: "d|X", "Number", "", "A",0 } }
  AnimationCurve: 13, "AnimCurve::", "" { Default: 0
   KeyTime: *2 { a: 0,46186158000 }
   KeyValueFloat: *2 { a: 10,20 } }"""
    moves = '\n  C: "OO",11,10\n  C: "OO",12,11\n  C: "OP",12,2, "Lcl Translation"\n  C: "OP",13,12, "d|X"'
    objects = (texture if picture else "") + (animation if animated else "")
    connections = (links if picture else "") + (moves if animated else "")
    return f"""; FBX 7.4.0 project file
FBXHeaderExtension:  {{ FBXHeaderVersion: 1003
 FBXVersion: 7400 }}
GlobalSettings:  {{ Version: 1000
 Properties70:  {{
  P: "UpAxis", "int", "Integer", "",{up}
  P: "UpAxisSign", "int", "Integer", "",1
  P: "FrontAxis", "int", "Integer", "",{front}
  P: "FrontAxisSign", "int", "Integer", "",{sign}
  P: "CoordAxis", "int", "Integer", "",0
  P: "CoordAxisSign", "int", "Integer", "",1
  P: "UnitScaleFactor", "double", "Number", "",{unit:g}
 }}
}}
Objects:  {{
  Geometry: 1, "Geometry::crate", "Mesh" {{
   Vertices: *{claimed} {{ a: {_numbers(corners(sides))} }}
   PolygonVertexIndex: *24 {{ a: {polygons} }}
   LayerElementUV: 0 {{ Version: 101
    Name: "map"
    MappingInformationType: "ByPolygonVertex"
    ReferenceInformationType: "Direct"
    UV: *48 {{ a: {uv} }} }}
   LayerElementMaterial: 0 {{ Version: 101
    MappingInformationType: "AllSame"
    ReferenceInformationType: "IndexToDirect"
    Materials: *1 {{ a: 0 }} }}
   Layer: 0 {{ Version: 100
    LayerElement: {{ Type: "LayerElementMaterial"
     TypedIndex: 0 }}
    LayerElement: {{ Type: "LayerElementUV"
     TypedIndex: 0 }} }} }}
  Model: 2, "Model::crate", "Mesh" {{ Version: 232
   Properties70:  {{ P: "Lcl Translation", "Lcl Translation", "", "A",10,0,0 }} }}
  Material: 4, "Material::paint", "" {{ Version: 102
   ShadingModel: "phong"
   Properties70:  {{ P: "DiffuseColor", "Color", "", "A",0.8,0.1,0.1 }} }}{objects}
}}
Connections:  {{
  C: "OO",2,0
  C: "OO",1,2
  C: "OO",4,2{connections}
}}
""".encode()
