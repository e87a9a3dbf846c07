"""All triangles of a scene with what is needed to colour a point on them."""

from __future__ import annotations

from typing import Any, NamedTuple

_PLAIN = (0.72, 0.72, 0.74)
#: Smooth shading is kept where a normal differs from the face's by less than this; cosine.
_CREASE = 0.3


class Surface(NamedTuple):
    """See the module."""

    #: (F, 3, 3) world coordinates.
    corners: Any
    #: (F, 3, 3) unit normals at the corners.
    normals: Any
    #: (F, 3, 3) linear RGB at the corners, to be multiplied by the texture.
    colours: Any
    #: (F, 3, 2) texture coordinates, origin lower left.
    uv: Any
    #: (F,) index into `textures`, -1 for none.
    texture_of: Any
    #: (H, W, 3) linear RGB each.
    textures: list[Any]

    @classmethod
    def of(cls, scene: Any) -> Surface:
        """Everything that the scene's nodes show."""
        import numpy as np

        parts: list[tuple[Any, ...]] = []
        textures: list[Any] = []
        known: dict[int, int] = {}
        for node in scene.graph.nodes_geometry:
            transform, name = scene.graph[node]
            mesh = scene.geometry[name]
            vertices = mesh.vertices @ transform[:3, :3].T + transform[:3, 3]
            corners = vertices[mesh.faces]
            colours, uv, image = _look(mesh)
            index = -1
            if image is not None and uv is not None:
                if id(image) not in known:
                    known[id(image)] = len(textures)
                    textures.append(_linear_pixels(image))
                index = known[id(image)]
            if uv is None:
                uv = np.zeros((len(mesh.faces), 3, 2))
            parts.append((corners, _normals(mesh, corners, transform), colours, uv, np.full(len(corners), index)))
        joined = [np.concatenate([part[place] for part in parts]) for place in range(5)]
        corners, normals, corner_colours, coordinates, texture_of = joined
        return cls(corners, normals, corner_colours, coordinates, texture_of, textures)

    def shaded(self, faces: Any, points: Any) -> tuple[Any, Any]:
        """Linear RGB and unit normals, (n, 3) each, at points on the given faces."""
        import numpy as np

        weights = _barycentric(self.corners[faces], points)[..., None]
        normals = (self.normals[faces] * weights).sum(axis=1)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        colours = (self.colours[faces] * weights).sum(axis=1)
        uv = (self.uv[faces] * weights).sum(axis=1)
        texture = self.texture_of[faces]
        for index, pixels in enumerate(self.textures):
            here = texture == index
            colours[here] *= _sampled(pixels, uv[here])
        return colours, normals


def _look(mesh: Any) -> tuple[Any, Any, Any]:
    """Linear colours at the corners (F, 3, 3), texture coordinates (F, 3, 2) or None, and an image or None."""
    import numpy as np

    count = len(mesh.faces)
    visual = mesh.visual
    if visual.kind == "texture":
        colour, image = _material(visual.material)
        colours = np.broadcast_to(colour, (count, 3, 3)).copy()
        vertex_colours = getattr(visual, "vertex_attributes", {}).get("color")
        if vertex_colours is not None and len(vertex_colours) == len(mesh.vertices):
            colours *= _as_linear_vertex_colours(vertex_colours)[mesh.faces]
        uv = visual.uv
        usable = uv is not None and len(uv) == len(mesh.vertices)
        return colours, np.asarray(uv)[mesh.faces] if usable else None, image if usable else None
    if visual.kind == "vertex":
        return _from_srgb(np.asarray(visual.vertex_colors)[:, :3] / 255)[mesh.faces], None, None
    if visual.kind == "face":
        return np.repeat(_from_srgb(np.asarray(visual.face_colors)[:, None, :3] / 255), 3, axis=1), None, None
    return np.broadcast_to(_from_srgb(np.array(_PLAIN)), (count, 3, 3)).copy(), None, None


def _material(material: Any) -> tuple[Any, Any]:
    """Linear colour, and an image or None."""
    import numpy as np

    if hasattr(material, "baseColorFactor"):
        factor, image = material.baseColorFactor, material.baseColorTexture
        if factor is None:
            # glTF: white, so that a texture shows as it is; without one a plain grey shows the shape better.
            return np.ones(3) if image is not None else _from_srgb(np.array(_PLAIN)), image
        linear = np.asarray(factor, dtype=float)[:3]
        # trimesh keeps the linear factor of the file as bytes.
        return (linear / 255 if np.asarray(factor).dtype.kind in "ui" else linear), image
    image = getattr(material, "image", None)
    if image is not None:
        return np.ones(3), image
    diffuse = getattr(material, "diffuse", None)
    if diffuse is None:
        return _from_srgb(np.array(_PLAIN)), None
    return _from_srgb(np.asarray(diffuse, dtype=float)[:3] / 255), None


def _as_linear_vertex_colours(colours: Any) -> Any:
    """COLOR_0 of glTF is linear already, 0..1 as floats or scaled whole numbers."""
    import numpy as np

    values = np.asarray(colours)[:, :3]
    return values / np.iinfo(values.dtype).max if values.dtype.kind in "ui" else values.astype(float)


def _normals(mesh: Any, corners: Any, transform: Any) -> Any:
    """The file's vertex normals where it has them and they suit the faces, else the faces' own."""
    import numpy as np

    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = np.where(length > 0, flat / np.maximum(length, 1e-300), [0.0, 1.0, 0.0])
    smooth = mesh.vertex_normals @ np.linalg.pinv(transform[:3, :3])
    smooth = smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    normals = smooth[mesh.faces]
    sharp = (normals * flat[:, None]).sum(axis=2) < _CREASE
    normals[sharp] = np.broadcast_to(flat[:, None], normals.shape)[sharp]
    return normals


def _barycentric(corners: Any, points: Any) -> Any:
    """(n, 3) weights of the corners, clipped to the triangle (Ericson 2005, section 3.4)."""
    import numpy as np

    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = points - corners[:, 0]
    aa, ab, bb = (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)
    pa, pb = (p * a).sum(1), (p * b).sum(1)
    bottom = aa * bb - ab * ab
    bottom = np.where(np.abs(bottom) > 0, bottom, 1.0)
    v = np.clip((bb * pa - ab * pb) / bottom, 0, 1)
    w = np.clip((aa * pb - ab * pa) / bottom, 0, 1)
    weights = np.stack([np.clip(1 - v - w, 0, 1), v, w], axis=1)
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)


def _sampled(pixels: Any, uv: Any) -> Any:
    """Nearest texel, repeated beyond the edges; the samples of a pixel smooth it."""
    import numpy as np

    height, width, _ = pixels.shape
    u = np.nan_to_num(uv[:, 0]) % 1.0
    v = 1 - np.nan_to_num(uv[:, 1]) % 1.0
    column = np.minimum((u * width).astype(int), width - 1)
    row = np.minimum((v * height).astype(int), height - 1)
    return pixels[row, column]


def _linear_pixels(image: Any) -> Any:
    import numpy as np

    small = image.convert("RGB")
    # Finer than the picture can show, and not worth its memory.
    small.thumbnail((1024, 1024))
    return _from_srgb(np.asarray(small) / 255)


def _from_srgb(values: Any) -> Any:
    """IEC 61966-2-1."""
    import numpy as np

    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
