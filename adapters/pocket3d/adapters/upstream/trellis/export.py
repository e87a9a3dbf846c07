"""Makes meshes with +Y up of what TRELLIS's decoders give. Needs numpy and trimesh; baking needs CUDA and upstream.

TRELLIS's space is a cube of side 1 around the origin, with +Z up.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import trimesh

from ...errors import InvalidInput
from ..code import replaced
from .progress_bar import Report, reporting_bar
from .sampling import TrellisFailed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
#: trimesh types its visuals as unions of all kinds.
_visual: Any = trimesh.visual

#: Rows times this turn +Z up into +Y up: (x, y, z) -> (x, z, -y). A rotation, so the inverse is its transpose.
TO_Y_UP: Floats = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
#: Views from which upstream's `to_glb` bakes; its loop over them has no length of its own.
_VIEWS = 100
_VIEW_RESOLUTION = 1024
_SMOOTHNESS = 0.01
_NEIGHBOURS = 4


class Surface(NamedTuple):
    """A mesh with a colour at each vertex."""

    #: (V, 3)
    vertices: Floats
    #: (F, 3)
    faces: Ints
    #: (V, 3) sRGB, 0..1.
    colours: Floats


def surface(extracted: Any) -> Surface:
    """The values of upstream's `MeshExtractResult`, still with +Z up.

    Raises:
        TrellisFailed: no triangles (upstream only sets `success` to False), or coordinates that are not finite.
    """
    vertices = extracted.vertices.detach().float().cpu().numpy().astype(np.float64)
    faces = extracted.faces.detach().cpu().numpy().astype(np.int64)
    if not extracted.success or len(vertices) == 0 or len(faces) == 0:
        raise TrellisFailed("TRELLIS decoded an empty mesh: there is no surface in its field; try another seed")
    if not np.isfinite(vertices).all():
        raise TrellisFailed(
            "TRELLIS decoded a mesh with coordinates that are not finite: the weights or the half precision failed"
        )
    attributes = extracted.vertex_attrs
    if attributes is None:
        colours = np.full((len(vertices), 3), 0.5)
    else:
        # Colours, then normals; the decoder is trained against rendered sRGB pictures.
        colours = attributes[:, :3].detach().float().cpu().numpy().astype(np.float64)
        colours = np.clip(np.nan_to_num(colours, nan=0.5), 0.0, 1.0)
    return Surface(vertices, faces, colours)


class Frame(NamedTuple):
    """How a given mesh lies in TRELLIS's cube: as upstream's `voxelize` puts it there."""

    centre: Floats
    scale: float

    @staticmethod
    def around(vertices: Floats) -> Frame:
        """Fit a frame around vertices (V, 3) with +Z up.

        Raises:
            InvalidInput: the mesh has no extent.
        """
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        scale = float((high - low).max())
        if not scale > 0:
            raise InvalidInput("the mesh has no extent", "mesh_path")
        return Frame((low + high) / 2, scale)

    def into(self, vertices: Floats) -> Floats:
        """Move vertices (V, 3) into the cube."""
        inside: Floats = (vertices - self.centre) / self.scale
        return inside

    def out_of(self, vertices: Floats) -> Floats:
        """Move vertices (V, 3) of the cube back to where they came from."""
        outside: Floats = vertices * self.scale + self.centre
        return outside


def nearest_colours(painted: Surface, points: Floats) -> Floats:
    """(P, 3) colours at points: the mean of the nearest decoded vertices, weighted by the inverse of their distance
    (Shepard, "A two-dimensional interpolation function for irregularly-spaced data", 1968).
    """
    from scipy.spatial import cKDTree

    count = min(_NEIGHBOURS, len(painted.vertices))
    distance, index = cKDTree(painted.vertices).query(points, k=count)
    distance, index = distance.reshape(len(points), count), index.reshape(len(points), count)
    weight = 1.0 / np.maximum(distance, 1e-9)
    mixed: Floats = (painted.colours[index] * weight[..., None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return mixed


def bake_generated(
    gaussian: Any, extracted: Any, *, simplify: float, texture_size: int, seed: int, report: Report
) -> Any:
    """Upstream's `to_glb`: fewer triangles, holes filled, the Gaussians' appearance baked into a texture. +Y up.

    `gaussian` is upstream's `Gaussian`, `extracted` its `MeshExtractResult`; `simplify` is the share of the triangles
    to take away, 0..1, `texture_size` the pixels of a side, `seed` draws the views by which the texture is optimised.
    `report` hears of every step of upstream's loops, and may raise.
    """
    with _reporting_bars(report) as processing, _seeded(seed):
        mesh = processing.to_glb(gaussian, extracted, simplify=simplify, texture_size=texture_size, verbose=False)
    return _matte(mesh)


def bake_given(
    gaussian: Any, vertices: Floats, faces: Ints, frame: Frame, *, texture_size: int, seed: int, report: Report
) -> Any:
    """The Gaussians' appearance on a given mesh: what `to_glb` does after its changes to the shape. +Y up, at the given
    mesh's own place and size.

    The vertices, (V, 3), lie in the cube, +Z up, out of which `frame` leads; the faces are (F, 3). For the other
    arguments see `bake_generated`.
    """
    with _reporting_bars(report) as processing, _seeded(seed):
        cut, new_faces, uv = processing.parametrize_mesh(vertices.astype(np.float32), faces.astype(np.int32))
        views, extrinsics, intrinsics = processing.render_multiview(
            gaussian, resolution=_VIEW_RESOLUTION, nviews=_VIEWS
        )
        pixels = processing.bake_texture(
            cut,
            new_faces,
            uv,
            views,
            [np.any(view > 0, axis=-1) for view in views],
            [each.cpu().numpy() for each in extrinsics],
            [each.cpu().numpy() for each in intrinsics],
            texture_size=texture_size,
            mode="opt",
            lambda_tv=_SMOOTHNESS,
            verbose=False,
        )
    from PIL import Image

    material = _visual.material.PBRMaterial(baseColorTexture=Image.fromarray(pixels), roughnessFactor=1.0)
    visual = _visual.TextureVisuals(uv=uv, material=material)
    placed = frame.out_of(np.asarray(cut, dtype=np.float64)) @ TO_Y_UP
    return _matte(trimesh.Trimesh(placed, new_faces, visual=visual, process=False))


def coloured(vertices: Floats, faces: Ints, colours: Floats) -> Any:
    """Make a mesh with sRGB colours (0..1) at its vertices, which lie as they shall be written."""
    shades = np.round(colours * 255).astype(np.uint8)
    return trimesh.Trimesh(vertices, faces, vertex_colors=shades, process=False, validate=False)


def _matte(mesh: Any) -> Any:
    """Upstream leaves out the metallic factor, and glTF's default for it is all metal."""
    mesh.visual.material.metallicFactor = 0.0
    return mesh


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Upstream draws from numpy's generator of the whole process; what it had been is put back."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


@contextlib.contextmanager
def _reporting_bars(report: Report) -> Iterator[Any]:
    """Upstream's `postprocessing_utils` with its progress bars telling us."""
    processing: Any = importlib.import_module("trellis.utils.postprocessing_utils")
    rendering: Any = importlib.import_module("trellis.utils.render_utils")
    bar = reporting_bar(report, {"Rendering": _VIEWS})
    with replaced(processing, tqdm=bar), replaced(rendering, tqdm=bar):
        yield processing
