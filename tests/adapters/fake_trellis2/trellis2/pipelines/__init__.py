"""Stands for TRELLIS.2's pipelines: upstream's names, parameters and order of calls."""

# ruff: noqa: B006, BLE001  # upstream's own defaults, and its second try after any error

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import o_voxel
import torch
import trimesh

#: What was loaded and asked for, for tests.
SEEN: dict[str, object] = {}


class Sampler:
    def sample_once(self, model, x_t, t, t_prev, cond=None, **kwargs):
        return x_t + torch.randn(3) / 100

    def sample(self, model, noise, steps=50, rescale_t=1.0, guidance_strength=3.0, verbose=True, **kwargs):
        SEEN.setdefault("guidance", []).append(guidance_strength)
        for step in range(steps):
            noise = self.sample_once(model, noise, 1 - step / steps, 1 - (step + 1) / steps)
        return noise


class MeshWithVoxel:
    layout = {"base_color": slice(0, 3), "metallic": slice(3, 4), "roughness": slice(4, 5), "alpha": slice(5, 6)}

    def __init__(self, ball, resolution):
        self.vertices = torch.from_numpy(np.array(ball.vertices)).float()
        self.faces = torch.from_numpy(np.array(ball.faces)).int()
        self.voxel_size = 1 / resolution
        self.coords = torch.zeros((4, 3), dtype=torch.int32)
        self.attrs = torch.zeros((4, 6))

    def simplify(self, target=1000000, verbose=False, options={}):
        SEEN.setdefault("simplified", []).append(target)

    def query_vertex_attrs(self):
        return torch.cat([self.vertices + 0.5, torch.zeros((len(self.vertices), 3))], dim=1)


class Pipeline:
    @classmethod
    def from_pretrained(cls, path, config_file="pipeline.json"):
        args = json.loads((Path(path) / config_file).read_text())["args"]
        pipeline = cls()
        pipeline.models = {}
        for name, stem in args["models"].items():
            try:
                pipeline.models[name] = (Path(path) / f"{stem}.safetensors").read_text()
                if pipeline.models[name] == "broken":
                    raise ValueError("Error while deserializing header")
            except Exception:
                _ = stem.split("/")[1]
        for sampler in pipeline.samplers:
            setattr(pipeline, f"{sampler}_sampler", Sampler())
            setattr(pipeline, f"{sampler}_sampler_params", args[f"{sampler}_sampler"]["params"])
        pipeline.low_vram = args.get("low_vram", True)
        pipeline.default_pipeline_type = args.get("default_pipeline_type", "1024_cascade")
        for helper in ("image_cond_model", "rembg_model"):
            assert (Path(args[helper]["args"]["model_name"]) / "config.json").is_file()
        SEEN.update(models=sorted(pipeline.models), rembg=args["rembg_model"]["name"], low_vram=pipeline.low_vram)
        SEEN.update(attention=os.environ["ATTN_BACKEND"])
        return pipeline

    def to(self, device):
        self.device = device

    def preprocess_image(self, input):
        alpha = np.array(input.convert("RGBA"))[:, :, 3]
        SEEN["cut"] = True
        if input.mode == "RGB":
            alpha[:] = 0
        return input.crop([int(each) for each in (*np.argwhere(alpha > 204).min(axis=0), *input.size)])

    def get_cond(self, image, resolution, include_neg_cond=True):
        SEEN.setdefault("cond", []).append(resolution)
        return {"cond": torch.zeros(3), "neg_cond": torch.zeros(3)}

    def decode_tex_slat(self, slat, subs=None):
        return slat


class Trellis2ImageTo3DPipeline(Pipeline):
    samplers = ("sparse_structure", "shape_slat", "tex_slat")

    def sample_sparse_structure(self, cond, resolution, num_samples=1, sampler_params={}):
        params = {**self.sparse_structure_sampler_params, **sampler_params}
        made = self.sparse_structure_sampler.sample(None, torch.zeros(3), **params)
        return torch.zeros((0 if SEEN.get("empty") else 5, 4)) + made.sum()

    def decode_shape_slat(self, slat, resolution):
        ball = trimesh.creation.icosphere(subdivisions=2, radius=0.4)
        ball.vertices *= 1 + float(slat.sum()) / 100
        if SEEN.get("no_surface"):
            ball.faces = np.zeros((0, 3), dtype=int)
        return [MeshWithVoxel(ball, resolution)], []

    def decode_latent(self, shape_slat, tex_slat, resolution):
        meshes, subs = self.decode_shape_slat(shape_slat, resolution)
        self.decode_tex_slat(tex_slat, subs)
        return meshes

    def run(
        self,
        image,
        num_samples=1,
        seed=42,
        sparse_structure_sampler_params={},
        shape_slat_sampler_params={},
        tex_slat_sampler_params={},
        preprocess_image=True,
        return_latent=False,
        pipeline_type=None,
        max_num_tokens=49152,
    ):
        pipeline_type = pipeline_type or self.default_pipeline_type
        SEEN.update(pipeline_type=pipeline_type, max_num_tokens=max_num_tokens)
        if preprocess_image:
            image = self.preprocess_image(image)
        torch.manual_seed(seed)
        cond = self.get_cond([image], 512)
        if pipeline_type != "512":
            cond = self.get_cond([image], 1024)
        coords = self.sample_sparse_structure(cond, 32, num_samples, sparse_structure_sampler_params)
        shape = coords.mean(dim=0)[:3]
        for _ in range(2 if pipeline_type.endswith("_cascade") else 1):
            params = {**self.shape_slat_sampler_params, **shape_slat_sampler_params}
            shape = self.shape_slat_sampler.sample(None, shape, **params)
        params = {**self.tex_slat_sampler_params, **tex_slat_sampler_params}
        tex = self.tex_slat_sampler.sample(None, shape, **params)
        return self.decode_latent(shape, tex, 512)


class Trellis2TexturingPipeline(Pipeline):
    samplers = ("tex_slat",)

    def preprocess_mesh(self, mesh):
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        vertices = (mesh.vertices - (low + high) / 2) * (0.99999 / (high - low).max())
        vertices = np.stack([vertices[:, 0], -vertices[:, 2], vertices[:, 1]], axis=1)
        assert np.all(vertices >= -0.5) and np.all(vertices <= 0.5), "vertices out of range"
        return trimesh.Trimesh(vertices=vertices, faces=mesh.faces, process=False)

    def encode_shape_slat(self, mesh, resolution=1024):
        return torch.zeros(3)

    def postprocess_mesh(self, mesh, pbr_voxel, resolution=1024, texture_size=1024):
        points, cut, uvs = o_voxel.postprocess.unwrapped(np.array(mesh.vertices), np.array(mesh.faces))
        tensors = torch.from_numpy(points).float(), torch.from_numpy(cut).int(), torch.from_numpy(uvs).float()
        shown, _ = o_voxel.postprocess.textures(*tensors, texture_size)
        points = np.stack([points[:, 0], points[:, 2], -points[:, 1]], axis=1)
        uvs[:, 1] = 1 - uvs[:, 1]
        visual = trimesh.visual.TextureVisuals(uv=uvs, material=o_voxel.postprocess.material(shown))
        return trimesh.Trimesh(vertices=points, faces=cut, process=False, visual=visual)

    def run(
        self,
        mesh,
        image,
        seed=42,
        tex_slat_sampler_params={},
        preprocess_image=True,
        resolution=1024,
        texture_size=2048,
    ):
        if preprocess_image:
            image = self.preprocess_image(image)
        mesh = self.preprocess_mesh(mesh)
        torch.manual_seed(seed)
        self.get_cond([image], 512 if resolution == 512 else 1024)
        slat = self.encode_shape_slat(mesh, resolution)
        params = {**self.tex_slat_sampler_params, **tex_slat_sampler_params}
        slat = self.decode_tex_slat(self.tex_slat_sampler.sample(None, slat, **params))
        return self.postprocess_mesh(mesh, slat, resolution, texture_size)
