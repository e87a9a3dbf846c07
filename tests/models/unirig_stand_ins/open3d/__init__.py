from types import SimpleNamespace

import numpy as np


class TriangleMesh:
    vertices = None
    triangles = None


class VoxelGrid:
    def __init__(self, origin, cells):
        self.origin = origin
        self._cells = cells

    @classmethod
    def create_from_triangle_mesh(cls, mesh, voxel_size):
        import trimesh

        surface = trimesh.Trimesh(mesh.vertices, mesh.triangles, process=False)
        points = np.concatenate([trimesh.sample.sample_surface(surface, 200_000)[0], np.asarray(mesh.vertices)])
        origin = points.min(axis=0) - voxel_size / 2
        return cls(origin, np.unique(((points - origin) // voxel_size).astype(int), axis=0))

    def get_voxels(self):
        return [SimpleNamespace(grid_index=cell) for cell in self._cells]


geometry = SimpleNamespace(TriangleMesh=TriangleMesh, VoxelGrid=VoxelGrid, PointCloud=TriangleMesh)
utility = SimpleNamespace(Vector3dVector=np.asarray, Vector3iVector=np.asarray)
