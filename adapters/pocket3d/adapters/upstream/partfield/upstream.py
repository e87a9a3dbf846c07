"""The calls into PartField's own code: build the network, load its weights once, compute features of a mesh.

Upstream's script drives a `Trainer` with every GPU of the host; here `Model.predict_step` is called directly.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import pickle
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ...errors import AdapterUnavailable
from ..code import put_on_path, replaced

Step = Callable[[float, str], None]

_MODULE = "partfield.model_trainer_pvcnn_only_demo"
#: Points on the surface that the network sees, and points whose features are sampled at once: upstream's numbers.
_SURFACE_POINTS = 100_000
_POINTS_AT_ONCE = 10_000
#: What upstream's `sample_points` has of each point at its peak: u, v, three weights, and three vectors of three, in
#: single precision. It makes those of all faces at once, before anything is done in blocks.
BYTES_A_POINT = 4 * (5 + 3 * 3)
#: Half the edge of the box into which upstream scales a mesh.
_HALF_BOX = 0.9


class UpstreamFailed(RuntimeError):
    """PartField's code ended without usable features."""


def load(root: Path, checkpoint: Path, device: str, *, trusted: bool) -> Any:
    """Load the network with its weights, in evaluation mode, onto the device.

    The checkpoint is Lightning's, a dict with `state_dict`; for `trusted` see the adapter's `trust_checkpoint`. The
    checkout goes to the front of `sys.path` of this worker.

    Raises:
        AdapterUnavailable: the checkpoint is not one of PartField's.
        ImportError: the checkout or one of its packages is not there.
    """
    put_on_path(root)
    settings = importlib.import_module("partfield.config")
    trainer = importlib.import_module(_MODULE)
    arguments = settings.default_argument_parser().parse_args(
        ["-c", str(root / "configs" / "final" / "demo.yaml"), "--opts", "dataset.val_num_workers", "0"]
    )
    config = settings.setup(arguments, freeze=False)
    encoder = trainer.TriPlanePC2Encoder
    # Upstream builds its point encoder on `cuda`, whatever there is.
    with replaced(trainer, TriPlanePC2Encoder=lambda *given, **more: encoder(*given, **{**more, "device": device})):
        model = trainer.Model(config)
    state = _state(checkpoint, trusted)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise AdapterUnavailable(f"{checkpoint} does not fit PartField's network: {error}") from error
    return model.eval().to(device)


def predict(
    model: Any,
    mesh: Any,
    *,
    device: str,
    points_per_face: int,
    seed: int,
    folder: Path,
    step: Step,
) -> Any:
    """Compute a feature for each face of the mesh: float32 (F, C), finite. C is 448 in the published network.

    The mesh, a `trimesh.Trimesh`, is not changed. A face's feature is averaged over `points_per_face`; `seed` draws
    them and the points on the surface. A working folder is made in `folder` and removed. `step` is told (0..1, stage),
    and what it raises ends the computation.

    Raises:
        UpstreamFailed: no features came out, or not one for each face, or not finite.
    """
    import numpy as np
    import torch

    trainer = importlib.import_module(_MODULE)
    step(0.0, "sampling the surface")
    batch = {key: value.to(device) for key, value in _batch(mesh, seed).items()}
    # Upstream leaves out some names ("car"); ours is none of them.
    batch["uid"] = ["mesh"]
    model.cfg.is_pc = False
    model.cfg.vertex_feature = False
    model.cfg.n_point_per_face = points_per_face
    # Upstream asserts that a block holds whole faces.
    model.cfg.n_sample_each = max(_POINTS_AT_ONCE // points_per_face, 1) * points_per_face
    blocks = len(mesh.faces) * points_per_face // model.cfg.n_sample_each + 1
    model.cfg.result_name = "job"
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory(prefix="partfield-", dir=folder) as name:
        work = Path(name)
        half = torch.autocast("cuda", torch.float16) if device.startswith("cuda") else contextlib.nullcontext()
        with _inside(work), _reporting_steps(trainer, model, blocks, step), torch.no_grad(), half:
            try:
                model.predict_step(batch, 0)
            except ValueError as error:
                # The picture that upstream draws of the features is where features that are not numbers show first.
                raise UpstreamFailed(f"PartField's features are unusable: {error}") from error
        files = sorted((work / "exp_results" / "job").glob("part_feat_mesh_0*.npy"))
        if not files:
            raise UpstreamFailed("PartField ended without an error and without features")
        try:
            features = np.load(files[0], allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise UpstreamFailed(f"PartField's features cannot be read: {error}") from error
    if features.ndim != 2 or len(features) != len(mesh.faces):
        raise UpstreamFailed(f"PartField gave features of shape {features.shape} for {len(mesh.faces)} faces")
    if not np.isfinite(features).all():
        raise UpstreamFailed("PartField gave features that are not finite numbers")
    return features.astype(np.float32, copy=False)


def fitting_points(faces: int, budget_mb: int) -> int:
    """How many points a face may have, 1 or more, so that those of all faces fit into the budget."""
    return max(1, budget_mb * 2**20 // (BYTES_A_POINT * faces))


def fingerprint(mesh: Any, points_per_face: int, seed: int) -> str:
    """A text that differs wherever the features may differ."""
    import numpy as np

    digest = hashlib.sha256(f"{points_per_face} {seed} {mesh.vertices.shape} {mesh.faces.shape}".encode())
    digest.update(np.ascontiguousarray(mesh.vertices).tobytes())
    digest.update(np.ascontiguousarray(mesh.faces).tobytes())
    return digest.hexdigest()


def _batch(mesh: Any, seed: int) -> dict[str, Any]:
    """What upstream's `Demo_Dataset` and its loader give for one mesh: centred, scaled, with points on its surface."""
    import numpy as np
    import torch
    import trimesh

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    size = float((high - low).max())
    if size <= 0:
        raise UpstreamFailed("all vertices of the mesh are in one place")
    scaled = (vertices - (low + high) / 2) * (2 * _HALF_BOX / size)
    surface = trimesh.Trimesh(scaled, mesh.faces, process=False)
    points, _ = trimesh.sample.sample_surface(surface, _SURFACE_POINTS, seed=seed)
    return {
        "pc": torch.as_tensor(np.array(points), dtype=torch.float32)[None],
        # Upstream's points have the precision of these, and are made single afterwards.
        "vertices": torch.as_tensor(scaled, dtype=torch.float32)[None],
        "faces": torch.as_tensor(np.array(mesh.faces, dtype=np.int64))[None],
    }


def _state(checkpoint: Path, trusted: bool) -> dict[str, Any]:
    import torch

    # Lightning keeps the settings beside the weights, as yacs' own kind of dict. They are not used; torch's safe reader
    # fills no foreign class, so a plain one takes them.
    settings: list[Any] = [(OrderedDict, "yacs.config.CfgNode")]
    try:
        if trusted:
            held = torch.load(checkpoint, map_location="cpu", weights_only=False)
        else:
            with torch.serialization.safe_globals(settings):
                held = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise AdapterUnavailable(
            f"{checkpoint} cannot be read as weights: {str(error)[:300]} ... If it holds Python objects and is your"
            " own, set trust_checkpoint: true"
        ) from error
    state = held.get("state_dict") if isinstance(held, dict) else None
    if not isinstance(state, dict):
        raise AdapterUnavailable(f"{checkpoint} has no state_dict: it is no checkpoint of PartField")
    return state


@contextlib.contextmanager
def _reporting_steps(trainer: Any, model: Any, blocks: int, step: Step) -> Iterator[None]:
    """Tell of the stages of `predict_step` as they begin, and of each block of sampled points."""
    sample = trainer.sample_triplane_feat
    done = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        step(0.3 + 0.7 * min(done / blocks, 1.0), "sampling features")
        done += 1
        return sample(*arguments, **options)

    hooks = [
        model.pvcnn.register_forward_pre_hook(lambda *_: step(0.05, "encoding the points")),
        model.triplane_transformer.register_forward_pre_hook(lambda *_: step(0.15, "transformer")),
    ]
    try:
        with replaced(trainer, sample_triplane_feat=counted):
            yield
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Upstream writes to `exp_results` below the current folder, which is the process's: one request at a time."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
