"""Rigged files that are broken: their name is told, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from pocket3d.adapters.mesh.rig_file import BrokenRig, read_rig
from support.tetrahedron import Tetrahedron


def rigged() -> Tetrahedron:
    body = Tetrahedron()
    body.document["nodes"] = [{"name": "body", "mesh": 0, "skin": 0}, {"name": "hip"}]
    body.document["scenes"] = [{"nodes": [0, 1]}]
    body.primitive["attributes"]["JOINTS_0"] = body.add(np.zeros((4, 4)), "VEC4", 5121, "u1")
    body.primitive["attributes"]["WEIGHTS_0"] = body.add(np.eye(1, 4).repeat(4, axis=0), "VEC4")
    body.document["skins"] = [{"joints": [1], "inverseBindMatrices": body.add(np.eye(4).reshape(1, 16), "MAT4")}]
    return body


def _accessor(body: Tetrahedron, name: str) -> dict[str, Any]:
    accessor: dict[str, Any] = body.document["accessors"][body.primitive["attributes"][name]]
    return accessor


def _absent_weights(body: Tetrahedron) -> None:
    body.primitive["attributes"]["WEIGHTS_0"] = 99


def _weights_without_data(body: Tetrahedron) -> None:
    del _accessor(body, "WEIGHTS_0")["bufferView"]


def _joints_of_another_type(body: Tetrahedron) -> None:
    _accessor(body, "JOINTS_0")["type"] = "SCALAR"


def _fewer_joints_than_weights(body: Tetrahedron) -> None:
    _accessor(body, "JOINTS_0")["count"] = 3


def _absent_matrices(body: Tetrahedron) -> None:
    body.document["skins"][0]["inverseBindMatrices"] = 99


def test_a_sound_file(tmp_path: Path) -> None:
    assert read_rig(rigged().write(tmp_path / "a.glb"), skinned=True).skinned_vertices == 4


@pytest.mark.parametrize(
    "damage",
    [
        _absent_weights,
        _weights_without_data,
        _joints_of_another_type,
        _fewer_joints_than_weights,
        _absent_matrices,
    ],
)
def test_a_part_that_points_to_what_is_not_there(damage: Callable[[Tetrahedron], None], tmp_path: Path) -> None:
    body = rigged()
    damage(body)
    with pytest.raises(BrokenRig, match=r"^a\.glb"):
        read_rig(body.write(tmp_path / "a.glb"), skinned=True)
