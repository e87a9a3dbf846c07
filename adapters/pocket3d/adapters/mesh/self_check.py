"""Whether a written file has the place, the colours and the pictures that were meant.

Both sides are measured in the same way, and cheaply: means over the corners of the triangles, how colours and texture
coordinates run along the axes, and checksums of pictures. That finds what is dropped, swapped, shifted or moved, not
one wrong vertex among many.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .mesh_part import MeshPart
from .parts import Look, is_linear, look_of
from .plain_files import texels_at
from .result import BrokenOutput
from .srgb import LINEAR_BYTES, from_srgb, to_srgb
from .triangles import FloatArray, IntArray

#: Maps of a material beside its base colour, as trimesh names them.
_MAPS = ("metallicRoughnessTexture", "normalTexture", "occlusionTexture", "emissiveTexture")
#: Of the root mean square distance of a mesh from its centre: single precision, and digits of text.
_PLACE = 3e-4
#: Single precision, of a coordinate: what STL rounds far from the origin.
_SINGLE = 2.0**-23
#: Linear light of a byte, as colours at vertices are stored.
_COLOUR = 0.006
#: The colour of a material, sRGB: GLB has it in full precision, a .mtl file is read in bytes.
_FACTOR = {"glb": 1e-5, "usdz": 1e-5, "obj": 0.004}
#: Of 1, or of the coordinate where that is more: six digits behind the point.
_COORDINATE = 1e-4
#: A picture that was encoded with losses may differ so much where it is averaged to 4 x 4 pixels, of 255.
_LOSSY = 12
#: Parts without names of their own are sought out, each among all.
_MOST_UNNAMED = 1000
#: What holds one mesh, or has other parts than were meant.
_AS_ONE = ("ply", "stl", "3mf")
_RED, _UV = slice(3, 7), slice(7, 9)


class Picture(NamedTuple):
    """A decoded image, compared as RGB."""

    size: tuple[int, int]
    checksum: int
    #: (4, 4, 3) means of its pixels.
    rough: npt.NDArray[np.int16]
    #: False if its file's form does not keep pixels as they are.
    exact: bool


class Moments(NamedTuple):
    """Means over the corners of triangles of nine numbers: the place, linear red, green, blue and alpha, and two
    texture coordinates.
    """

    corners: int
    #: (9,)
    mean: FloatArray
    #: (9, 3) mean products of the numbers' and the place's differences from their means.
    along: FloatArray

    @property
    def radius(self) -> float:
        """The root mean square distance from the centre."""
        return float(np.sqrt(np.trace(self.along[:3]).clip(0)))

    def moved(self, matrix: FloatArray) -> Moments:
        """The same, placed by a (4, 4)."""
        turn = matrix[:3, :3]
        mean, along = self.mean.copy(), self.along @ turn.T
        mean[:3] = turn @ mean[:3] + matrix[:3, 3]
        along[:3] = turn @ along[:3]
        return Moments(self.corners, mean, along)


class PartSurface(NamedTuple):
    """One part's."""

    name: str
    moments: Moments
    #: (4,) sRGB and alpha of its material.
    factor: FloatArray
    coloured: bool
    mapped: bool
    #: By `base` and the names of other maps.
    pictures: Mapping[str, Picture]


def surface_of(meant: Any, suffix: str) -> list[PartSurface]:
    """Measure a `trimesh.Scene`, or parts, as a file of this suffix can have them.

    Every instance is a part. Where the file has colours at vertices in place of pictures (PLY, 3MF), the pictures'
    colours there count as the vertices' own.
    """
    suffix = _kind(suffix)
    measure = _Measure(suffix)
    found = list(measure.parts(meant) if isinstance(meant, Sequence) else measure.scene(meant))
    # Where pictures became colours, no coordinates are written.
    if measure.painted or suffix == "3mf":
        return [each._replace(mapped=False) for each in found]
    return [_in_usd(each) for each in found] if suffix == "usdz" else found


def _kind(suffix: str) -> str:
    """The format by whose rules a file is measured: a .gltf is a GLB in several files."""
    found = suffix.lower().removeprefix(".")
    return "glb" if found == "gltf" else found


def _in_usd(part: PartSurface) -> PartSurface:
    """USD has colours at the vertices with the material's in them, and none beside a picture."""
    if not part.coloured or "base" in part.pictures:
        return part._replace(coloured=False)
    return part._replace(moments=_shown(part), factor=np.append(np.ones(3), part.factor[3]))


def check_surface(meant: list[PartSurface], written: list[PartSurface], path: Path) -> None:
    """Compare what was to be written with what is in a file.

    Raises:
        BrokenOutput: parts lie elsewhere, or have other colours, texture coordinates or pictures.
    """
    suffix = _kind(path.suffix)
    whole = _joined(meant)
    named = {each.name: each for each in written}
    alike = len(named) == len(written) and named.keys() == {each.name for each in meant}
    if len(meant) != len(written) or suffix in _AS_ONE or (len(meant) > _MOST_UNNAMED and not alike):
        _check_part(whole, _joined(written), whole.moments, suffix, path.name)
        return
    pairs = [named[each.name] for each in meant] if alike else _likest(meant, written)
    for before, after in zip(meant, pairs, strict=True):
        _check_part(before, after, whole.moments, suffix, f"{path.name}, part {before.name[:80]!r}")


def _likest(meant: list[PartSurface], written: list[PartSurface]) -> list[PartSurface]:
    """For each part another one of those that were written: readers rename what is named alike, and order it anew."""
    rows = np.array([[each.moments.corners, *each.moments.mean, *each.factor] for each in written])
    taken = np.zeros(len(written), dtype=bool)
    found = []
    for part in meant:
        away = np.abs(rows - [part.moments.corners, *part.moments.mean, *part.factor]).sum(axis=1)
        number = int(np.where(taken, np.inf, away).argmin())
        taken[number] = True
        found.append(written[number])
    return found


# ---------------------------------------------------------------- measuring


class _Measure:
    """Measures the parts of one mesh; what several of them share is measured once."""

    def __init__(self, suffix: str) -> None:
        self._suffix = suffix
        self._pictures: dict[int, Picture] = {}
        #: Whether a picture's colours count as the vertices'.
        self.painted = False

    def scene(self, scene: Any) -> Iterator[PartSurface]:
        linear = is_linear(scene)
        shared: dict[str, PartSurface] = {}
        for node in scene.graph.nodes_geometry:
            transform, geometry = scene.graph.get(node)
            if geometry not in shared:
                mesh = scene.geometry[geometry]
                shared[geometry] = self._part(mesh.vertices, np.asarray(mesh.faces), look_of(mesh, linear=linear))
                shared[geometry] = self._with_maps(shared[geometry], mesh)
            part = shared[geometry]
            yield part._replace(name=_plain(str(node)), moments=part.moments.moved(transform))

    def parts(self, parts: Sequence[MeshPart]) -> Iterator[PartSurface]:
        for part in parts:
            faces = part.faces
            if part.quads is not None and self._suffix == "obj":
                faces = part.quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
            found = self._part(part.vertices, faces, _look(part))
            if part.surface_texture is not None and self._suffix == "glb":
                found = found._replace(
                    pictures={**found.pictures, "metallicRoughnessTexture": self._picture(part.surface_texture)}
                )
            yield found._replace(name=_plain(part.name))

    def _part(self, vertices: Any, faces: IntArray, look: Look) -> PartSurface:
        pictures: dict[str, Picture] = {}
        colours, uv = look.vertex_colours, look.uv
        if self._suffix == "stl":
            colours = uv = None
        elif look.image is not None and self._suffix in ("ply", "3mf"):
            colours, uv = _with_texels(colours, look), None
            self.painted = True
        elif look.image is not None:
            pictures["base"] = self._picture(look.image)
        if look.face_colours is not None and self._suffix != "stl":
            colours = np.repeat(look.face_colours, 3, axis=0)
            vertices, faces = vertices[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3)
        moments = _moments(np.asarray(vertices, dtype=np.float64), faces, colours, uv)
        factor = np.array([*to_srgb(np.array(look.colour)), look.alpha])
        return PartSurface("", moments, factor, colours is not None, uv is not None, pictures)

    def _with_maps(self, part: PartSurface, mesh: Any) -> PartSurface:
        material = getattr(mesh.visual, "material", None)
        found = {key: getattr(material, key, None) for key in _MAPS if self._suffix == "glb" and part.mapped}
        maps = {key: self._picture(image) for key, image in found.items() if image is not None}
        return part._replace(pictures={**part.pictures, **maps})

    def _picture(self, image: Any) -> Picture:
        # Images live as long as the mesh that is measured.
        if id(image) not in self._pictures:
            self._pictures[id(image)] = _picture(image)
        return self._pictures[id(image)]


def _picture(image: Any) -> Picture:
    from PIL import Image

    exact = isinstance(image, np.ndarray) or image.format in (None, "PNG")
    shown = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    if shown.mode != "RGB":
        shown = shown.convert("RGB")
    rough = np.asarray(shown.resize((4, 4), Image.Resampling.BOX)).astype(np.int16)
    return Picture(shown.size, zlib.crc32(shown.tobytes()), rough, exact)


def _look(part: MeshPart) -> Look:
    colours = None
    if part.colours is not None:
        colours = np.concatenate([LINEAR_BYTES[part.colours[:, :3]], part.colours[:, 3:] / 255], axis=1)
    red, green, blue = from_srgb(np.array(part.material.colour)).tolist()
    uv = None if part.uv is None else np.stack([part.uv[:, 0], 1 - part.uv[:, 1]], axis=1)
    image = None if part.uv is None else part.texture
    return Look((red, green, blue), part.material.alpha, image=image, uv=uv, vertex_colours=colours)


def _with_texels(colours: FloatArray | None, look: Look) -> FloatArray:
    """(V, 4) linear: the picture's colours at the vertices, multiplied with the vertices' own."""
    pixels = look.image if isinstance(look.image, np.ndarray) else np.asarray(look.image.convert("RGB"))
    uv: Any = look.uv
    found = LINEAR_BYTES[texels_at(pixels, np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1))]
    found = np.concatenate([found, np.ones((len(found), 1))], axis=1)
    return found if colours is None else found * colours


def _moments(vertices: FloatArray, faces: IntArray, colours: Any, uv: Any) -> Moments:
    corners = np.bincount(faces.reshape(-1), minlength=len(vertices))
    used = corners > 0
    if not used.all():
        # What no face uses may be anything.
        corners, vertices = corners[used], vertices[used]
        colours = None if colours is None else colours[used]
        uv = None if uv is None else uv[used]
    count = int(corners.sum())
    mean = np.zeros(9)
    mean[_RED] = 1
    along = np.zeros((9, 3))
    mean[:3] = corners @ vertices / count
    away = vertices - mean[:3]
    weighted = away * corners[:, None]
    along[:3] = away.T @ weighted / count
    for rows, columns in ((colours, _RED), (uv, _UV)):
        if rows is not None:
            values = np.nan_to_num(rows, posinf=0, neginf=0)
            if columns is _RED:
                values = values.clip(0, 1)
            mean[columns] = corners @ values / count
            along[columns] = (values - mean[columns]).T @ weighted / count
    return Moments(count, mean, along)


def _joined(parts: list[PartSurface]) -> PartSurface:
    """All parts as one, in the colours that they show: those of materials are the vertices' own then."""
    shown = [_shown(each) for each in parts]
    count = sum(each.corners for each in shown)
    weights = np.array([each.corners / count for each in shown])
    means = np.stack([each.mean for each in shown])
    mean = weights @ means
    between = (means - mean) * weights[:, None]
    along = np.tensordot(weights, np.stack([each.along for each in shown]), 1) + between.T @ (means - mean)[:, :3]
    pictured = any(each.pictures for each in parts)
    coloured = not pictured and any(each.coloured or (each.factor != 1).any() for each in parts)
    mapped = any(each.mapped for each in parts)
    return PartSurface("", Moments(count, mean, along), np.ones(4), coloured, mapped, {})


def _shown(part: PartSurface) -> Moments:
    factor = np.append(from_srgb(part.factor[:3]), part.factor[3])
    mean, along = part.moments.mean.copy(), part.moments.along.copy()
    mean[_RED] *= factor
    along[_RED] *= factor[:, None]
    return part.moments._replace(mean=mean, along=along)


def _plain(name: str) -> str:
    return "_".join(name.split())


# ---------------------------------------------------------------- comparing


def _check_part(meant: PartSurface, written: PartSurface, whole: Moments, suffix: str, name: str) -> None:
    before, after = meant.moments, written.moments
    if before.corners != after.corners:
        raise BrokenOutput(f"{name} has {after.corners // 3:,} faces, {before.corners // 3:,} were to be written")
    radius = whole.radius
    step = _SINGLE * float(np.abs(whole.mean[:3]).max() + 4 * radius) if suffix == "stl" else 0.0
    near = _PLACE * radius + step
    if _differ(before.mean[:3], after.mean[:3], near) or _differ(before.along[:3], after.along[:3], 4 * near * radius):
        raise BrokenOutput(
            f"{name} lies about {_few(after.mean[:3])}, {after.radius:.6g} around, and was to lie about"
            f" {_few(before.mean[:3])}, {before.radius:.6g} around"
        )
    if suffix == "stl":
        return
    # A picture is read of an OBJ without the colour beside it, and colours without alpha.
    told = suffix in _FACTOR and not (suffix == "obj" and "base" in meant.pictures)
    if told and _differ(meant.factor, written.factor, _FACTOR[suffix]):
        raise BrokenOutput(f"{name} has the base colour {_few(written.factor)}, {_few(meant.factor)} was meant")
    red = slice(3, 6) if suffix in ("obj", "usdz") else _RED
    if meant.coloured:
        if not written.coloured and suffix != "ply":
            raise BrokenOutput(f"{name} has no colours at its vertices, which were to be written")
        _check_values(before, after, red, _COLOUR, f"{name}: its colours")
    elif written.coloured and _differ(after.mean[red], before.mean[red], _COLOUR):
        raise BrokenOutput(f"{name} has colours at its vertices, {_few(after.mean[red])} in the mean, none were meant")
    if meant.mapped:
        if not written.mapped:
            raise BrokenOutput(f"{name} has no texture coordinates, which were to be written")
        near = _COORDINATE * max(1.0, float(np.abs(before.mean[_UV]).max()))
        _check_values(before, after, _UV, near, f"{name}: its texture coordinates")
    for kind, picture in meant.pictures.items():
        _check_picture(picture, written.pictures.get(kind), f"{name}: its picture ({kind})")


def _check_values(before: Moments, after: Moments, columns: slice, near: float, what: str) -> None:
    if _differ(before.mean[columns], after.mean[columns], near):
        raise BrokenOutput(
            f"{what} are {_few(after.mean[columns])} in the mean, {_few(before.mean[columns])} were meant"
        )
    if _differ(before.along[columns], after.along[columns], near * before.radius):
        raise BrokenOutput(f"{what} run along the mesh in another way than was meant")


def _check_picture(meant: Picture, written: Picture | None, what: str) -> None:
    if written is None:
        raise BrokenOutput(f"{what} is not there")
    if written.size != meant.size:
        raise BrokenOutput(f"{what} has {written.size} pixels, {meant.size} were meant")
    if written.checksum == meant.checksum:
        return
    if written.exact or np.abs(written.rough - meant.rough).max() > _LOSSY:
        raise BrokenOutput(f"{what} shows other colours than were meant")


def _differ(one: FloatArray, other: FloatArray, near: float) -> bool:
    # Written so that what is no number differs.
    return not bool((np.abs(np.asarray(one) - other) <= near).all())


def _few(values: FloatArray) -> str:
    return "(" + ", ".join(f"{float(each):.4g}" for each in values) + ")"
