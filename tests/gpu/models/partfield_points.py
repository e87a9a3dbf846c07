"""PartField's own `predict_step` with planes of random numbers in place of its networks: what its points take.

    partfield_points.py CHECKOUT FACES POINTS_PER_FACE BUDGET_MB

With a budget the points are as our adapter has them: in single precision, and no more than fit into it. With 0 they are
as upstream has them, in double precision. Modules that upstream imports and does not use here are empty where they are
not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import trimesh

from pocket3d.adapters.upstream.partfield import upstream

#: Imported by upstream's modules, and used by nothing that runs here.
_UNUSED = ("boto3", "h5py", "mesh2sdf", "tetgen", "vtk", "pymeshlab", "loguru", "lightning.pytorch", "skimage")


class _Empty(types.ModuleType):
    """Has any name: a class without contents."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


def stand_in() -> list[str]:
    """Put empty modules in the place of what is not installed; returns their names."""
    made = []
    for name in _UNUSED:
        top = name.split(".")[0]
        if importlib.util.find_spec(top) is None:
            made.append(top)
            sys.modules[top] = _Empty(top)
            sys.modules[name] = _Empty(name)
            setattr(sys.modules[top], name.rpartition(".")[2], sys.modules[name])
    if importlib.util.find_spec("distutils") is None:
        made.append("distutils")
        module = types.ModuleType("distutils.util")
        module.strtobool = lambda text: text.lower() in ("y", "yes", "t", "true", "on", "1")  # type: ignore[attr-defined]
        sys.modules["distutils"] = types.ModuleType("distutils")
        sys.modules["distutils.util"] = module
    return made


class Network(torch.nn.Module):
    """Stands for both networks: planes as large as theirs."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._shape = shape

    def forward(self, points: torch.Tensor, *_: Any) -> torch.Tensor:
        return torch.randn(self._shape, device=points.device)


def main() -> None:
    """Measure, and print it."""
    root, faces, points, budget = Path(sys.argv[1]), *(int(each) for each in sys.argv[2:])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    made = stand_in()
    sys.path.insert(0, str(root))
    trainer = importlib.import_module("partfield.model_trainer_pvcnn_only_demo")
    cfg = SimpleNamespace(is_pc=False, vertex_feature=False, n_sample_each=10_000, result_name="job")
    model = SimpleNamespace(cfg=cfg, use_2d_feat=False)
    model.pvcnn = Network((1, 3, 8, 128, 128))
    # 64 channels of a distance and 448 of parts, as upstream splits them.
    model.triplane_transformer = Network((1, 3, 512, 128, 128))
    model.predict_step = types.MethodType(trainer.Model.predict_step, model)
    mesh = grid(faces)
    torch.manual_seed(0)
    before = 0
    if device == "cuda":
        # What the planes and a block take, without points worth speaking of.
        predict(model, grid(50), device, 1)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    if budget:
        points = min(points, upstream.fitting_points(faces, budget))
        features = predict(model, mesh, device, points)
    else:
        features = as_upstream(model, mesh, device, points)
    taken = (torch.cuda.max_memory_allocated() - before) // 2**20 if device == "cuda" else None
    told = {"faces": faces, "points_per_face": points, "points_mb": taken, "features": list(features.shape)}
    print(json.dumps({**told, "stand_ins": made}))


def predict(model: Any, mesh: trimesh.Trimesh, device: str, points: int) -> Any:
    """As our adapter does it."""
    with tempfile.TemporaryDirectory() as folder:
        return upstream.predict(
            model, mesh, device=device, points_per_face=points, seed=1, folder=Path(folder), step=lambda *_: None
        )


def as_upstream(model: Any, mesh: trimesh.Trimesh, device: str, points: int) -> Any:
    """As upstream's own loader gives it: vertices in double precision."""
    model.cfg.n_point_per_face = points
    model.cfg.n_sample_each = 10_000 // points * points
    batch = {
        "uid": ["mesh"],
        "pc": torch.as_tensor(mesh.vertices[None], dtype=torch.float32, device=device),
        "vertices": torch.as_tensor(mesh.vertices[None], dtype=torch.float64, device=device),
        "faces": torch.as_tensor(np.array(mesh.faces)[None], dtype=torch.int64, device=device),
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        half = torch.autocast(device, torch.float16 if device == "cuda" else torch.bfloat16)
        with half:
            model.predict_step(batch, 0)
        return np.load(Path("exp_results/job/part_feat_mesh_0_batch.npy"))


def grid(faces: int) -> trimesh.Trimesh:
    """A wavy sheet of exactly so many triangles."""
    side = int(np.ceil(np.sqrt(faces / 2)))
    x, y = np.meshgrid(np.linspace(-0.9, 0.9, side + 1), np.linspace(-0.9, 0.9, side + 1), indexing="ij")
    vertices = np.stack([x, y, 0.1 * np.sin(9 * x) * np.cos(7 * y)], axis=-1).reshape(-1, 3)
    corner = (np.arange(side)[:, None] * (side + 1) + np.arange(side)).reshape(-1)
    quads = np.stack([corner, corner + 1, corner + side + 2, corner + side + 1], axis=1)
    both = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return trimesh.Trimesh(vertices, both[:faces], process=False)


if __name__ == "__main__":
    main()
