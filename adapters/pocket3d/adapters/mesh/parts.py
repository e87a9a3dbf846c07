"""From a `trimesh.Scene` to the parts that `write` writes: world coordinates, one surface each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .srgb import LINEAR_BYTES, from_srgb, to_srgb
from .triangles import FloatArray, IntArray, unit
from .write import Material, MeshPart, vertex_normals

#: What a surface without any colour looks like: sRGB (0.72, 0.72, 0.74) in linear light.
_PLAIN: tuple[float, float, float] = tuple(from_srgb(np.array([0.72, 0.72, 0.74])).tolist())

#: Maps of a glTF material beside its base colour.
_OTHER_MAPS = ("normalTexture", "metallicRoughnessTexture", "occlusionTexture", "emissiveTexture")


class Look(NamedTuple):
    """The look of one mesh's surface."""

    #: Linear RGB 0..1, and alpha.
    colour: tuple[float, float, float]
    alpha: float = 1.0
    metallic: float = 0.0
    roughness: float = 0.8
    name: str = "plain"
    #: `PIL.Image.Image`, sRGB, multiplied with the colour; None without, or without coordinates for it.
    image: Any = None
    #: (V, 2), origin at the lower left corner; an unwrapped mesh may have them without an image.
    uv: FloatArray | None = None
    #: (V, 4) linear 0..1, multiplied with the colour; None without.
    vertex_colours: FloatArray | None = None
    #: (F, 4) linear 0..1; None without.
    face_colours: FloatArray | None = None
    #: Whether the file says anything of colour.
    stated: bool = False


def look_of(mesh: Any, *, linear: bool) -> Look:
    """Read a `trimesh.Trimesh`'s visuals.

    `linear`: its vertex colours are linear, as in glTF; else they are sRGB, as in PLY and OBJ.
    """
    visual = mesh.visual
    if visual.kind == "texture":
        return _textured(mesh, visual)
    if visual.kind not in ("vertex", "face"):
        return Look(_PLAIN)
    stored = np.asarray(visual.vertex_colors if visual.kind == "vertex" else visual.face_colors)
    light = stored[:, :3] / 255 if linear else LINEAR_BYTES[stored[:, :3]]
    colours = np.concatenate([light, stored[:, 3:] / 255], axis=1)
    look = Look((1.0, 1.0, 1.0), name="colours", stated=True)
    return look._replace(vertex_colours=colours) if visual.kind == "vertex" else look._replace(face_colours=colours)


def colour_bytes(mesh: Any) -> npt.NDArray[np.uint8] | None:
    """Vertex colours that stand beside a material, (V, 4) as bytes; None without.

    glTF's COLOR_0 may be floats or whole numbers, three or four of them; trimesh keeps what it read, and its writer
    casts floats to bytes, which makes 0 or 1 of them, and calls three numbers four.
    """
    colours = _beside_material(mesh) if mesh.visual.kind == "texture" else None
    return None if colours is None else (colours.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def parts_of(scene: Any) -> list[MeshPart]:
    """Make one part of each instance in the scene."""
    linear = is_linear(scene)
    nodes = scene.graph.nodes_geometry
    return [_part(str(node), *each, linear) for node, each in zip(nodes, placed(scene), strict=True)]


def with_alpha(scene: Any, parts: Sequence[MeshPart]) -> list[MeshPart]:
    """The scene's parts, in its order, with four channels in those textures whose alpha their materials show."""
    found = []
    for node, part in zip(scene.graph.nodes_geometry, parts, strict=True):
        material = getattr(scene.geometry[scene.graph.get(node)[1]].visual, "material", None)
        image = getattr(material, "baseColorTexture", None)
        shown = part.texture is not None and getattr(material, "alphaMode", None) in ("MASK", "BLEND")
        if shown and image is not None and image.has_transparency_data:
            part = part._replace(texture=np.asarray(image.convert("RGBA")))
        found.append(part)
    return found


def other_maps(scene: Any) -> int:
    """How many maps of normals, roughness, occlusion or light its materials have: parts have none of them."""
    materials = [getattr(mesh.visual, "material", None) for mesh in scene.geometry.values()]
    return sum(getattr(material, key, None) is not None for material in materials for key in _OTHER_MAPS)


def leave_triangles(scene: Any) -> None:
    """Remove from a loaded scene what is no mesh of triangles.

    Raises:
        ValueError: a part has coordinates that are not finite, or indices that point nowhere.
    """
    import trimesh

    for name, geometry in list(scene.geometry.items()):
        if not isinstance(geometry, trimesh.Trimesh) or len(geometry.faces) == 0:
            scene.delete_geometry(name)
        elif not np.isfinite(geometry.vertices).all():
            raise ValueError(f"part {name!r} has coordinates that are not finite numbers")
        elif geometry.faces.min() < 0 or geometry.faces.max() >= len(geometry.vertices):
            raise ValueError(f"part {name!r} has faces that point to vertices which are not there")


def placed(scene: Any) -> Iterator[tuple[Any, Any, Any]]:
    """For each instance in the scene its mesh, the mesh's vertices in world coordinates, and the (4, 4) to them."""
    for transform, name in map(scene.graph.get, scene.graph.nodes_geometry):
        mesh = scene.geometry[name]
        yield mesh, moved(np.asarray(mesh.vertices), transform), transform


def moved(points: FloatArray, transform: FloatArray) -> FloatArray:
    """(N, 3) points after a transformation (4, 4)."""
    if np.array_equal(transform, np.eye(4)):
        # Adding 0 makes 0 of -0.
        return points + 0.0
    # For so small a matrix the threads of a product cost more than the work itself.
    x, y, z = points.T
    return np.stack([row[0] * x + row[1] * y + row[2] * z + row[3] for row in transform[:3]], axis=1)


def stored_normals(mesh: Any) -> FloatArray | None:
    """(V, 3) the normals that a mesh had in its file, of any length; None without.

    To be asked before trimesh computes some for a mesh that has none.
    """
    found = mesh._cache.cache.get("vertex_normals")
    return found if found is not None and len(found) == len(mesh.vertices) else None


def world_normals(mesh: Any, transform: FloatArray) -> FloatArray:
    """(V, 3) unit normals of a mesh, in world coordinates."""
    return unit(np.asarray(mesh.vertex_normals) @ np.linalg.pinv(transform[:3, :3]))


def is_linear(scene: Any) -> bool:
    """Whether the vertex colours of a loaded scene are linear: glTF's are, those of other formats sRGB."""
    source = getattr(scene, "source", None)
    return getattr(source, "file_type", None) in ("glb", "gltf")


def _part(name: str, mesh: Any, vertices: FloatArray, transform: FloatArray, linear: bool) -> MeshPart:
    faces, stored = np.asarray(mesh.faces), stored_normals(mesh)
    if np.linalg.det(transform[:3, :3]) < 0:
        # A mirror turns the surface inside out.
        faces = faces[:, ::-1]
    normals = None if stored is None else _normals(np.asarray(stored), vertices, faces, transform)
    look = look_of(mesh, linear=linear)
    if look.face_colours is not None:
        # The formats have colours at vertices, so faces share none.
        vertices = vertices[faces].reshape(-1, 3)
        normals = None if normals is None else normals[faces].reshape(-1, 3)
        faces = np.arange(len(vertices)).reshape(-1, 3)
        look = look._replace(vertex_colours=np.repeat(look.face_colours, 3, axis=0), face_colours=None)
    material = Material(
        name=look.name,
        colour=tuple(round(float(c), 9) for c in to_srgb(np.array(look.colour))),  # type: ignore[arg-type]  # three
        alpha=look.alpha,
        metallic=look.metallic,
        roughness=look.roughness,
    )
    colours = None
    if look.vertex_colours is not None:
        shown = np.concatenate([to_srgb(look.vertex_colours[:, :3]), look.vertex_colours[:, 3:]], axis=1)
        colours = (shown * 255 + 0.5).astype(np.uint8)
    uv = None if look.uv is None else np.stack([look.uv[:, 0], 1 - look.uv[:, 1]], axis=1)
    texture = None if look.image is None else np.asarray(look.image.convert("RGB"))
    normals = vertex_normals(vertices, faces) if normals is None else normals
    return MeshPart(name, vertices, faces, normals, material, uv, texture, colours)


def _normals(stored: FloatArray, vertices: FloatArray, faces: IntArray, transform: FloatArray) -> FloatArray:
    """(V, 3) stored normals in world coordinates, at unit length; those that point nowhere are computed anew."""
    turned = stored @ np.linalg.pinv(transform[:3, :3])
    lengths = np.linalg.norm(turned, axis=1, keepdims=True)
    sound = (lengths > 0) & np.isfinite(lengths)
    if sound.all():
        made: FloatArray = turned / lengths
        return made
    return np.where(sound, turned / np.where(sound, lengths, 1), vertex_normals(vertices, faces))


def _textured(mesh: Any, visual: Any) -> Look:
    material = visual.material
    uv = None if visual.uv is None or len(visual.uv) != len(mesh.vertices) else np.asarray(visual.uv)
    colours = _beside_material(mesh)
    name = str(getattr(material, "name", None) or "material")
    if hasattr(material, "baseColorFactor"):
        image = material.baseColorTexture if uv is not None else None
        factor = _floats(material.baseColorFactor)
        stated = factor is not None or image is not None or colours is not None
        if factor is None:
            factor = np.ones(4) if stated else np.array([*_PLAIN, 1.0])
        # glTF's own defaults are 1, a rough metal, which nobody means who says nothing.
        metallic = 0.0 if material.metallicFactor is None else float(material.metallicFactor)
        roughness = 0.8 if material.roughnessFactor is None else float(material.roughnessFactor)
    else:
        image = getattr(material, "image", None) if uv is not None else None
        diffuse = _floats(getattr(material, "diffuse", None))
        stated = diffuse is not None or image is not None
        linear = np.array(_PLAIN) if diffuse is None else from_srgb(diffuse[:3])
        factor = np.ones(4) if image is not None else np.append(linear, 1.0 if diffuse is None else diffuse[3])
        # As an OBJ's materials may say.
        shares = getattr(material, "kwargs", None) or {}
        metallic, roughness = shares.get("pm", 0.0), shares.get("pr", 0.8)
    red, green, blue, alpha = (float(each) for each in factor)
    return Look((red, green, blue), alpha, metallic, roughness, name, image, uv, colours, stated=stated)


def _floats(factor: Any) -> FloatArray | None:
    """Four numbers 0..1 from three or four, whole ones being 0..255."""
    if factor is None:
        return None
    values = np.asarray(factor)
    scaled: FloatArray = values / 255 if values.dtype.kind in "ui" else values.astype(np.float64)
    return np.append(scaled[:3], scaled[3] if len(scaled) > 3 else 1.0)


def _beside_material(mesh: Any) -> FloatArray | None:
    """(V, 4) 0..1 from glTF's COLOR_0: floats, or whole numbers scaled; None without."""
    colours = getattr(mesh.visual, "vertex_attributes", {}).get("color")
    if colours is None or len(colours) != len(mesh.vertices):
        return None
    values = np.asarray(colours)
    scaled = values / np.iinfo(values.dtype).max if values.dtype.kind in "ui" else values.astype(np.float64)
    return scaled if scaled.shape[1] == 4 else np.insert(scaled, 3, 1.0, axis=1)[:, :4]
