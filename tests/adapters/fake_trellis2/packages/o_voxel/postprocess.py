"""Stands for o_voxel's export: cleans nothing, bakes where a point lies as its colour."""

# ruff: noqa: B008  # upstream's own default

from __future__ import annotations

import numpy as np
import nvdiffrast.torch as dr
import torch
import trimesh
from PIL import Image
from tqdm import tqdm


def textures(vertices, faces, uvs, size):
    """(size, size, 3) uint8 of the points that the texels show, and which texels show any: upstream's own calls."""
    ctx = dr.RasterizeCudaContext()
    clip = torch.cat([uvs * 2 - 1, torch.zeros_like(uvs[:, :1]), torch.ones_like(uvs[:, :1])], dim=-1).unsqueeze(0)
    rast = torch.zeros((1, size, size, 4), dtype=torch.float32)
    for i in range(0, faces.shape[0], 100):
        chunk, _ = dr.rasterize(ctx, clip, faces[i : i + 100], resolution=[size, size])
        there = chunk[..., 3:4] > 0
        chunk[..., 3:4] += i
        rast = torch.where(there, chunk, rast)
    mask = rast[0, ..., 3] > 0
    pos = dr.interpolate(vertices.unsqueeze(0), rast, faces)[0][0]
    shown = np.zeros((size, size, 3), dtype=np.uint8)
    shown[mask.numpy()] = np.clip((pos[mask].numpy() + 0.5) * 255, 0, 255)
    return shown, mask.numpy()


def material(shown):
    rough = np.full((*shown.shape[:2], 1), 128, dtype=np.uint8)
    return trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(np.concatenate([shown, np.full_like(rough, 255)], axis=-1)),
        baseColorFactor=np.array([255, 255, 255, 255], dtype=np.uint8),
        metallicRoughnessTexture=Image.fromarray(np.concatenate([np.zeros_like(rough), rough, rough], axis=-1)),
        metallicFactor=1.0,
        roughnessFactor=1.0,
        alphaMode="OPAQUE",
        doubleSided=False,
    )


def unwrapped(vertices, faces):
    """Each triangle in a cell of its own of a square grid."""
    cells = int(np.ceil(np.sqrt(len(faces))))
    index = np.arange(len(faces))
    corner = np.stack([index % cells, index // cells], axis=1)[:, None, :]
    uvs = (corner + np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]])) / cells
    return vertices[faces].reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3), uvs.reshape(-1, 2)


def to_glb(
    vertices,
    faces,
    attr_volume,
    coords,
    attr_layout,
    aabb,
    voxel_size=None,
    grid_size=None,
    decimation_target=1000000,
    texture_size=2048,
    remesh=False,
    remesh_band=1,
    remesh_project=0.9,
    mesh_cluster_threshold_cone_half_angle_rad=np.radians(90.0),
    mesh_cluster_refine_iterations=0,
    mesh_cluster_global_iterations=1,
    mesh_cluster_smooth_strength=1,
    verbose=False,
    use_tqdm=False,
):
    assert attr_layout["base_color"] == slice(0, 3) and voxel_size and coords.shape[1] == 3
    if use_tqdm:
        pbar = tqdm(total=2, desc="Extracting GLB")
        pbar.set_description("Parameterizing new mesh")
    points, cut, uvs = unwrapped(vertices.numpy(), faces.numpy())
    if use_tqdm:
        pbar.update(1)
        pbar.set_description("Finalizing mesh")
    as_tensors = torch.from_numpy(points), torch.from_numpy(cut).int(), torch.from_numpy(uvs).float()
    shown, _ = textures(*as_tensors, texture_size)
    points[:, 1], points[:, 2] = points[:, 2].copy(), -points[:, 1]
    uvs[:, 1] = 1 - uvs[:, 1]
    if use_tqdm:
        pbar.update(1)
        pbar.close()
    visual = trimesh.visual.TextureVisuals(uv=uvs, material=material(shown))
    return trimesh.Trimesh(vertices=points, faces=cut, process=False, visual=visual)
