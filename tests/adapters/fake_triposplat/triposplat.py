"""A stand-in for TripoSplat's module: its names, parameters and order of calls, and a ball in place of the networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

#: What was called, in order.
CALLS: list[str] = []
_NAMES = [
    *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]


class Gaussian:
    def __init__(self, table):
        self.table = table

    def save_ply(self, path, transform=None):
        lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(self.table)}"]
        lines += [*(f"property float {name}" for name in _NAMES), "end_header"]
        Path(path).write_bytes("\n".join(lines).encode() + b"\n" + self.table.astype("<f4").tobytes())

    def save_splat(self, path, transform=None):
        rows = np.empty((len(self.table), 32), dtype=np.uint8)
        scales = np.exp(self.table[:, 10:13])
        rows[:, :24] = np.concatenate([self.table[:, :3], scales], axis=1).astype("<f4").view(np.uint8)
        rows[:, 24:27] = np.clip((self.table[:, 6:9] * 0.2820948 + 0.5) * 255, 0, 255)
        rows[:, 27] = 255 / (1 + np.exp(-self.table[:, 9]))
        rows[:, 28:] = np.clip(self.table[:, 13:] * 128 + 128, 0, 255)
        Path(path).write_bytes(rows.tobytes())


class TripoSplatPipeline:
    _NUM_GAUSSIANS_MIN = 32768
    _NUM_GAUSSIANS_MAX = 262144

    def __init__(self, ckpt_path, decoder_path, dinov3_path, flux2_vae_encoder_path, rmbg_path, device="cuda"):
        for path in (ckpt_path, decoder_path, dinov3_path, flux2_vae_encoder_path, rmbg_path):
            if not Path(path).stat().st_size:
                raise ValueError(f"Error while deserializing header: {path}")
        self._device = torch.device(device)

    def preprocess_image(self, image, erode_radius=1):
        CALLS.append("preprocess_image")
        if image.mode != "RGBA" and np.ptp(np.asarray(image)) == 0:
            # As numpy says it of the bounding box of nothing.
            raise ValueError("zero-size array to reduction operation minimum which has no identity")
        return image.convert("RGB")

    def encode_image(self, image, generator=None):
        CALLS.append("encode_image")
        noise = torch.randn(3, generator=generator).numpy()
        return {"feature1": np.asarray(image).reshape(-1, 3).mean(axis=0) / 255 + noise / 100}

    def sample_latent(
        self, cond, steps=50, guidance_scale=7.0, shift=3.0, generator=None, show_progress=False, callback=None
    ):
        CALLS.append("sample_latent")
        for step in range(steps):
            if callback is not None:
                callback(step + 1, steps)
        return {"latent": cond["feature1"]}

    def decode_latent(self, latent, num_gaussians=262144):
        CALLS.append("decode_latent")
        # Upstream jitters points with torch's own generator.
        table = np.zeros((num_gaussians, len(_NAMES)))
        places = torch.randn(num_gaussians, 3).numpy()
        table[:, :3] = places / np.linalg.norm(places, axis=1, keepdims=True) * 0.5
        table[:, 6:9] = (latent - 0.5) / 0.2820948
        table[:, 10:13] = np.log(0.01)
        table[:, 13] = 1.0
        table[:, 9] = 2.0
        # What half precision makes of an opacity of 1.
        table[0, 9] = np.inf
        return Gaussian(table)

    def run(
        self,
        image,
        seed=42,
        steps=20,
        guidance_scale=3.0,
        shift=3.0,
        num_gaussians=262144,
        erode_radius=1,
        show_progress=False,
        callback=None,
    ):
        assert self._NUM_GAUSSIANS_MIN <= num_gaussians <= self._NUM_GAUSSIANS_MAX
        count = round(num_gaussians / 32) * 32
        generator = torch.Generator(device=self._device).manual_seed(seed)
        prepared = self.preprocess_image(image, erode_radius=erode_radius)
        cond = self.encode_image(prepared, generator=generator)
        latent = self.sample_latent(
            cond,
            steps=steps,
            guidance_scale=guidance_scale,
            shift=shift,
            generator=generator,
            show_progress=show_progress,
            callback=callback,
        )
        return self.decode_latent(latent["latent"], num_gaussians=count), prepared
