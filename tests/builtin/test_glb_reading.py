"""What glTF says by other means than vertices and a node tree, and what is read of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
trimesh = pytest.importorskip("trimesh")

from PIL import Image  # noqa: E402

from pocket3d.adapters.conversion.convert import write  # noqa: E402
from pocket3d.adapters.errors import InvalidInput  # noqa: E402
from pocket3d.adapters.mesh_input import ignored_parts, read_mesh, read_scene  # noqa: E402
from support import glb_reading  # noqa: E402
from support import mesh_files as files  # noqa: E402

pytestmark = pytest.mark.torch

UV = np.array([[0.0, 0.0], [1, 0], [0, 1], [1, 1]])


class Tetrahedron:
    """A GLB file of a tetrahedron, to which arrays are added."""

    def __init__(self) -> None:
        self.document = files.gltf_document()
        self.binary = files.gltf_binary()

    def add(self, rows: Any, kind: str, component: int = 5126, dtype: str = "<f4", **more: Any) -> int:
        data = np.asarray(rows).astype(dtype).tobytes()
        data += b"\0" * (-len(data) % 4)
        self.document["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data
        self.document["buffers"][0]["byteLength"] = len(self.binary)
        view = len(self.document["bufferViews"]) - 1
        self.document["accessors"].append(
            {"bufferView": view, "componentType": component, "count": len(rows), "type": kind, **more}
        )
        return len(self.document["accessors"]) - 1

    @property
    def primitive(self) -> dict[str, Any]:
        primitive: dict[str, Any] = self.document["meshes"][0]["primitives"][0]
        return primitive

    def texture(self, **info: Any) -> dict[str, Any]:
        """Paint it; what else the base colour's `textureInfo` says. Returns the material."""
        picture = io.BytesIO()
        Image.new("RGB", (2, 2), (200, 10, 10)).save(picture, format="PNG")
        data = picture.getvalue()
        self.document["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)})
        self.binary += data + b"\0" * (-len(data) % 4)
        self.document["buffers"][0]["byteLength"] = len(self.binary)
        self.document["images"] = [
            {"bufferView": len(self.document["bufferViews"]) - 1, "mimeType": "image/png"},
        ]
        self.document["textures"] = [{"source": 0}]
        material: dict[str, Any] = {
            "name": "paint",
            "pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **info}},
        }
        self.document["materials"] = [material]
        self.primitive["material"] = 0
        return material

    def write(self, path: Path) -> Path:
        path.write_bytes(files.glb(self.document, self.binary))
        return path


def coordinates(path: Path) -> Any:
    """(V, 2) in glTF's sense, from the upper left corner, of the one part, and the part."""
    (part,) = read_scene(path).geometry.values()
    assert part.visual.material.baseColorTexture is not None
    return np.stack([part.visual.uv[:, 0], 1 - part.visual.uv[:, 1]], axis=1)


# ---------------------------------------------------------------- textures


def transform(**values: Any) -> dict[str, Any]:
    return {"extensions": {"KHR_texture_transform": values}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, UV),
        ({"offset": [0.5, 0.25]}, UV + np.array([0.5, 0.25])),
        ({"scale": [4, 2]}, UV * [4, 2]),
        # The extension's own examples: the lower left quadrant, turned; the second axis upside down.
        ({"offset": [0, 1], "rotation": np.pi / 2, "scale": [0.5, 0.5]}, [[0, 1], [0, 0.5], [0.5, 1], [0.5, 0.5]]),
        ({"offset": [0, 1], "scale": [1, -1]}, [[0, 1], [1, 1], [0, 0], [1, 0]]),
        # Scaled before it is turned.
        ({"rotation": np.pi / 2, "scale": [4, 2]}, [[0, 0], [0, -4], [2, 0], [2, -4]]),
    ],
)
def test_a_texture_that_is_moved_lies_there_in_the_coordinates(
    tmp_path: Path, values: dict[str, Any], expected: Any
) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.texture(**transform(**values))
    assert coordinates(body.write(tmp_path / "a.glb")) == pytest.approx(np.array(expected), abs=1e-6)


def test_a_moved_texture_is_written_where_it_lay(tmp_path: Path) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.texture(**transform(scale=[4, 4]))
    scene = read_scene(body.write(tmp_path / "a.glb"))
    write(scene, tmp_path / "b.glb")
    assert coordinates(tmp_path / "b.glb") == pytest.approx(UV * 4)
    assert "KHR_texture_transform" not in str(glb_reading.json_chunk(tmp_path / "b.glb"))


def test_the_set_of_coordinates_is_the_one_that_the_texture_names(tmp_path: Path) -> None:
    for number, info in enumerate(({"texCoord": 1}, {"texCoord": 0, **transform(texCoord=1)})):
        body = Tetrahedron()
        body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
        body.primitive["attributes"]["TEXCOORD_1"] = body.add(UV / 2, "VEC2")
        body.texture(**info)
        assert coordinates(body.write(tmp_path / f"{number}.glb")) == pytest.approx(UV / 2)


@pytest.mark.parametrize(("component", "dtype"), [(5121, "u1"), (5123, "<u2")])
def test_coordinates_as_normalised_whole_numbers(tmp_path: Path, component: int, dtype: str) -> None:
    body = Tetrahedron()
    rows = np.zeros((4, 4 // np.dtype(dtype).itemsize))
    rows[:, :2] = UV * np.iinfo(dtype).max
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(rows, "VEC2", component, dtype, normalized=True)
    body.document["bufferViews"][-1]["byteStride"] = 4
    body.texture()
    assert coordinates(body.write(tmp_path / "a.glb")) == pytest.approx(UV)


def test_a_map_that_lies_otherwise_than_the_base_colour_is_left_out_and_named(tmp_path: Path) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    material = body.texture(**transform(scale=[4, 4]))
    material["normalTexture"] = {"index": 0, **transform(scale=[2, 2])}
    material["occlusionTexture"] = {"index": 0, "strength": 0.5, **transform(scale=[4, 4])}
    scene = read_scene(body.write(tmp_path / "a.glb"))
    (part,) = scene.geometry.values()
    assert part.visual.material.normalTexture is None
    assert part.visual.material.occlusionTexture is not None
    assert ignored_parts(scene)[0].startswith("normalTexture of material 'paint': it lies otherwise")


@pytest.mark.parametrize("broken", [{"offset": [1]}, {"scale": "4"}, {"rotation": []}, {"texCoord": -1}])
def test_a_broken_transform_is_the_files_fault(tmp_path: Path, broken: dict[str, Any]) -> None:
    body = Tetrahedron()
    body.primitive["attributes"]["TEXCOORD_0"] = body.add(UV, "VEC2")
    body.texture(**transform(**broken))
    with pytest.raises(InvalidInput, match="no glTF"):
        read_mesh(body.write(tmp_path / "a.glb"))


def test_a_moved_texture_as_met_in_a_real_file() -> None:
    uv = coordinates(files.case("texture_transform.glb"))
    assert uv.max() > 3
