"""Unwraps a scene, evaluates a pattern at every texel, and returns parts with their texture."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ...mesh import creases
from ...mesh.glb_remade import Remade
from ...mesh.input import MeshLimits
from ...mesh.parts import look_of, other_maps, placed, world_normals
from ...mesh.triangles import FloatArray, IntArray, areas, body_labels
from ...mesh.write import Material, MeshPart, vertex_normals
from ..unwrapping.layout import Layout
from .atlas import Texels, fill, rasterise, unwrap
from .noise import Noise
from .own_uv import own_layouts
from .patterns import Shade, SurfaceSample, colour_tensor, paint
from .words import Understood

Step = Callable[[float, str], None]
Painter = Callable[[SurfaceSample], Shade]
#: The least and the greatest coordinates, (3,) each.
Bounds = tuple[FloatArray, FloatArray]

#: What is unwrapped and painted in one job.
LIMITS = MeshLimits(max_faces=200_000, max_vertices=600_000)
#: Texels evaluated together; small enough for caches and for a cancel.
_CHUNK = 65_536
_MOST_THREADS = 8


class SurfacePart(NamedTuple):
    """The surface of one part, without materials, in world coordinates."""

    name: str
    vertices: FloatArray
    faces: IntArray
    #: (V, 3) unit length.
    normals: FloatArray
    #: (V, 2) the coordinates it came with, origin at the texture's upper left corner; None without.
    uv: FloatArray | None = None
    #: (V,) the vertex of the part, as it was read, that each is a copy of; None if they were made otherwise.
    source: IntArray | None = None


class PaintedScene(NamedTuple):
    """The parts with their texture, and what was measured."""

    parts: list[MeshPart]
    #: Measured: charts, coverage (share of the texels that show surface), overlapping_texels, texture_resolution.
    facts: dict[str, Any]
    #: For each part, (V,) the vertex of the surface that each is a copy of.
    sources: list[IntArray]

    def remade(self, parts: Sequence[SurfacePart], *, own_uv: bool) -> dict[str, Remade]:
        """What became of the surfaces `parts`, by their names; with `own_uv` on the coordinates that they came with."""
        made = zip(parts, self.parts, self.sources, strict=True)
        return {
            part.name: Remade(painted, source if part.source is None else part.source[source], new_uv=not own_uv)
            for part, painted, source in made
        }


def surface_parts(scene: Any) -> list[SurfacePart]:
    """The surface of every instance in a `trimesh.Scene`, split at creases so that each vertex has one normal."""
    parts: list[SurfacePart] = []
    for node, (mesh, vertices, transform) in zip(scene.graph.nodes_geometry, placed(scene), strict=True):
        faces = np.asarray(mesh.faces)
        if np.linalg.det(transform[:3, :3]) < 0:
            faces = faces[:, ::-1]
        normals = _sound_normals(world_normals(mesh, transform), np.asarray(mesh.vertex_normals), vertices, faces)
        uv = getattr(mesh.visual, "uv", None)
        own = None if uv is None or len(uv) != len(vertices) else np.asarray(uv) * [1.0, -1.0] + [0.0, 1.0]
        parts.append(split_at_creases(str(node), np.asarray(vertices), faces, normals, own))
    return parts


def _sound_normals(normals: FloatArray, read: FloatArray, vertices: FloatArray, faces: IntArray) -> FloatArray:
    """(V, 3) the normals; those that were `read` as nothing are computed anew: trimesh finds none in a tiny mesh."""
    none = np.linalg.norm(read, axis=1) < 0.5
    if not none.any():
        return normals
    extent = max(float(np.ptp(vertices, axis=0).max()), 1e-300)
    return np.where(none[:, None], vertex_normals(vertices / extent, faces), normals)


def split_at_creases(
    name: str, vertices: FloatArray, faces: IntArray, normals: FloatArray, uv: FloatArray | None = None
) -> SurfacePart:
    """Double the vertices of a part, (V, 3), (F, 3), (V, 3), where a vertex normal is far from that of a face."""
    source, split, chosen = creases.split_at_creases(vertices, faces, normals)
    return SurfacePart(name, vertices[source], split, chosen, None if uv is None else uv[source], source)


def paint_by_own_uv(
    parts: list[SurfacePart],
    wanted: Understood,
    seed: int,
    resolution: int,
    device: str,
    step: Step,
    painter: Painter | None = None,
) -> PaintedScene:
    """As `paint_scene`, on the coordinates that the parts came with: in one texture, or where parts lie over one
    another in it, in one for each.

    Raises:
        UnusableUv: they cannot carry a texture.
    """
    step(0.0, "judging the texture coordinates")
    textures = own_layouts(
        [part.name for part in parts], [part.faces for part in parts], [part.uv for part in parts], resolution, device
    )
    bounds = _bounds(np.concatenate([part.vertices[part.faces.reshape(-1)] for part in parts]))
    made: dict[int, tuple[MeshPart, IntArray]] = {}
    facts: list[dict[str, Any]] = []
    for number, members in enumerate(textures):

        def within(share: float, stage: str, done: int = number) -> None:
            step((done + share) / len(textures), stage)

        chosen = [parts[place] for place, _ in members]
        layouts = [layout for _, layout in members]
        painted = paint_scene(chosen, wanted, seed, resolution, device, within, painter, layouts, bounds)
        made.update(zip((place for place, _ in members), zip(painted.parts, painted.sources, strict=True), strict=True))
        facts.append(painted.facts)
    together = {
        **facts[0],
        "charts": sum(each["charts"] for each in facts),
        "coverage": round(sum(each["coverage"] for each in facts) / len(facts), 4),
        "overlapping_texels": sum(each["overlapping_texels"] for each in facts),
        "textures": len(textures),
        "texture_coordinates": "kept",
    }
    ordered = [made[place] for place in range(len(parts))]
    return PaintedScene([part for part, _ in ordered], together, [source for _, source in ordered])


def replaced(scene: Any, keep_uv: bool, *, kept: bool, surface: bool) -> list[str]:
    """What of a `trimesh.Scene` texturing leaves out, for people: `kept`, all but its colours and, where `surface` says
    so, metal and roughness stays in the file.
    """
    lost = []
    looks = [look_of(mesh, linear=True) for mesh in scene.geometry.values()]
    if any(look.stated for look in looks):
        what = "colours, textures, metal and roughness" if surface else "colours and textures"
        lost.append(f"its {what}: the new ones take their place")
    if not kept and (maps := other_maps(scene)):
        lost.append(f"{maps} maps of normals, roughness, occlusion or light: they belong to the old surface")
    if not keep_uv and any(getattr(mesh.visual, "uv", None) is not None for mesh in scene.geometry.values()):
        of = "of its base colour" if kept else "that it had"
        lost.append(f"the texture coordinates {of}: keep_uv keeps them")
    return lost


def paint_scene(
    parts: list[SurfacePart],
    wanted: Understood,
    seed: int,
    resolution: int,
    device: str,
    step: Step,
    painter: Painter | None = None,
    laid_out: list[Layout] | None = None,
    bounds: Bounds | None = None,
) -> PaintedScene:
    """Paint all parts with one texture.

    `step` is called with (share, stage) and may raise to end it. `painter` says what the surface is at each place, by
    default the pattern does; it is called from several threads. `laid_out` has a layout for each part, where there is
    one that should be kept. `bounds` are those of the whole, of which the parts are some.

    Raises:
        NoUnwrap: no texture coordinates could be made.
    """
    step(0.05, "unwrapping the surface")
    if laid_out is None:
        surfaces = [(part.vertices, part.faces) for part in parts]
        charts, chart_count = unwrap(surfaces, resolution, lambda: step(0.05, "unwrapping the surface"))
    else:
        charts, chart_count = laid_out, sum(int(body_labels(len(e.source), e.faces).max()) + 1 for e in laid_out)
    step(0.35, "laying out the texels")
    corners = np.concatenate([chart.uv[chart.faces] for chart in charts])
    texels = rasterise(corners, resolution, device, lambda share: step(0.35 + 0.15 * share, "laying out the texels"))
    colour, surface = _texture(
        parts, charts, texels, wanted, seed, resolution, device, step, painter or partial(paint, wanted.pattern), bounds
    )
    step(0.95, "closing the gaps between charts")
    covered = np.zeros((resolution, resolution), dtype=bool)
    covered.reshape(-1)[texels.where.cpu().numpy()] = True
    texture = fill(colour, covered)
    surface_texture = None if surface is None else fill(surface, covered)
    material = Material(wanted.pattern, (1.0, 1.0, 1.0), metallic=wanted.metallic, roughness=wanted.roughness)
    made = [
        MeshPart(
            name=part.name,
            vertices=part.vertices[chart.source],
            faces=chart.faces,
            normals=part.normals[chart.source],
            material=material,
            uv=chart.uv,
            texture=texture,
            surface_texture=surface_texture,
        )
        for part, chart in zip(parts, charts, strict=True)
    ]
    facts = {
        "charts": chart_count,
        "coverage": round(float(covered.mean()), 4),
        "overlapping_texels": texels.overlapping,
        "texture_resolution": resolution,
        "roughness_and_metallic": "texture" if surface is not None else "factors",
    }
    return PaintedScene(made, facts, [chart.source for chart in charts])


def _texture(
    parts: list[SurfacePart],
    charts: list[Layout],
    texels: Texels,
    wanted: Understood,
    seed: int,
    resolution: int,
    device: str,
    step: Step,
    painter: Painter,
    bounds: Bounds | None,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]:
    """(R, R, 3) sRGB, and roughness with metallic as glTF wants them, or None where both are the same everywhere."""
    places = [part.vertices[chart.source][chart.faces] for part, chart in zip(parts, charts, strict=True)]
    normals = [part.normals[chart.source][chart.faces] for part, chart in zip(parts, charts, strict=True)]
    corners = np.concatenate(places)
    low, high = bounds or _bounds(corners.reshape(-1, 3))
    longest = max(float((high - low).max()), 1e-300)
    centred = (corners - (low + high) / 2) / longest
    texel = (float(areas(centred).sum()) / max(len(texels.where), 1)) ** 0.5 / wanted.scale
    corner_points = torch.as_tensor(centred, dtype=torch.float32, device=device)
    corner_normals = torch.as_tensor(np.concatenate(normals), dtype=torch.float32, device=device)
    foot, tall = -float(high[1] - low[1]) / 2 / longest, max(float(high[1] - low[1]) / longest, 1e-9)
    noise, colours = Noise(seed, device), colour_tensor(wanted.palette, device)
    colour = torch.zeros((resolution * resolution, 3), dtype=torch.uint8, device=device)
    surface = torch.full((resolution * resolution, 3), 255, dtype=torch.uint8, device=device)

    def chunk(start: int) -> bool:
        """Paint some texels; True if their roughness or metallic is not everywhere the material's."""
        part = slice(start, start + _CHUNK)
        weights, triangle = texels.weights[part, :, None], texels.triangle[part]
        points = (corner_points[triangle] * weights).sum(dim=1)
        away = torch.nn.functional.normalize((corner_normals[triangle] * weights).sum(dim=1), dim=1)
        height = (points[:, 1] - foot) / tall
        shade = painter(SurfaceSample(points / wanted.scale, away, noise, colours, texel, wanted.direction, height))
        where = texels.where[part]
        colour[where] = _bytes(shade.colour)
        if shade.roughness is None and shade.metallic is None:
            return False
        surface[where] = _bytes(_surface(shade, wanted, len(points), device))
        return True

    starts = range(0, len(texels.where), _CHUNK)
    varied = False
    with _threads(device) as threads:
        for done, differs in enumerate(threads.map(chunk, starts)):
            varied = varied or differs
            step(0.5 + 0.45 * (done + 1) / len(starts), f"painting: {wanted.pattern}")
    shape = (resolution, resolution, 3)
    return colour.cpu().numpy().reshape(shape), surface.cpu().numpy().reshape(shape) if varied else None


def _bounds(points: FloatArray) -> Bounds:
    return points.min(axis=0), points.max(axis=0)


@contextlib.contextmanager
def _threads(device: str) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads each take whole chunks. Torch's own threads split every small operation and wait for one
    another: on a busy host that took ten times as long.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(1 if device.startswith("cuda") else min(before, _MOST_THREADS), "painting")
    torch.set_num_threads(1)
    try:
        yield pool
    finally:
        # After a cancel the chunks that wait are not begun.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _surface(shade: Shade, wanted: Understood, count: int, device: str) -> torch.Tensor:
    """(N, 3): red unused, roughness, metallic. A finish that the prompt names holds on the mean."""
    rough = torch.full((count,), wanted.roughness, device=device)
    if shade.roughness is not None:
        rough = shade.roughness
        if "roughness" in wanted.recognised:
            rough = wanted.roughness + 0.3 * (shade.roughness - shade.roughness.mean())
    metal = torch.full((count,), wanted.metallic, device=device) if shade.metallic is None else shade.metallic
    return torch.stack([torch.ones_like(rough), rough, metal], dim=1)


def _bytes(values: torch.Tensor) -> torch.Tensor:
    return (values.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
