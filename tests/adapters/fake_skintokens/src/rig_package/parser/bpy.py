"""Stands for upstream's use of Blender: reads a GLB, and writes it with a chain of bones along y."""

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from pocket3d.adapters.mesh.read.glb_container import unpack
from pocket3d.adapters.mesh.skinned_glb import Skeleton, add_skin


class Asset(SimpleNamespace):
    joints = vertices = faces = np.zeros((1, 3))

    def voxel(self, resolution=128, voxel_size=None):
        assert resolution == 196
        return SimpleNamespace(coords=np.zeros((1, 3)), voxel_size=0.5)

    def normalize_skin(self):
        self.cleaned = True


class BpyParser:
    @classmethod
    def load(cls, filepath, **kwargs):
        assert threading.current_thread() is threading.main_thread()
        data = Path(filepath).read_bytes()
        return Asset(data=data, rigged=bool(unpack(data)[0].get("skins")), path=filepath, skin=1.0, cleaned=False)

    @classmethod
    def export(cls, asset, filepath, **kwargs):
        assert kwargs == {"group_per_vertex": 4}
        write(asset, filepath, "bare")


def transfer_rigging(source_asset, target_path, export_path, **kwargs):
    assert kwargs == {"group_per_vertex": 4} and Path(target_path).read_bytes() == source_asset.data
    write(source_asset, export_path, "kept")


def write(asset, path, kind):
    if os.environ.get("FAKE_SKINTOKENS") == "no_file":
        return
    names = tuple(f"{kind}{'_clean' if asset.cleaned else ''}_{number}" for number in range(asset.bones))
    heads = np.stack([np.zeros(asset.bones), np.arange(asset.bones) + asset.shift, np.zeros(asset.bones)], axis=1)
    skeleton = Skeleton(names, np.arange(asset.bones) - 1, heads, heads + np.array([0.0, 1.0, 0.0]))

    def weigh(places):
        joints = np.zeros((len(places), 4), dtype=np.int64)
        joints[:, 0] = np.arange(len(places)) % asset.bones
        return joints, np.tile([1.0, 0.0, 0.0, 0.0], (len(places), 1))

    data = asset.data if not asset.rigged else bare(asset.data)
    Path(path).write_bytes(add_skin(data, skeleton, weigh))


def bare(data):
    import io

    import trimesh

    return trimesh.load_scene(io.BytesIO(data), file_type="glb").export(file_type="glb")
