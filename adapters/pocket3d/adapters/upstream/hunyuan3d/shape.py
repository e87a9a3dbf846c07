"""Image to shape: upstream's pipeline, told to report and to stop, and its clean-up of the mesh."""

from __future__ import annotations

import contextlib
import importlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..code import loading, replaced
from .options import ShapeOptions
from .progress import Stage
from .versions import Version
from .weights import Checkpoint

#: Upstream's cube is a little wider than [-1, 1], and must be a float: an int is taken for a list of six.
_BOX = 1.01


class ShapeFailed(RuntimeError):
    """Upstream ended without a mesh."""


def precision(dtype: str | None, device: str) -> Any:
    """One of torch's data types, by its name; None for half precision on CUDA and single on the CPU."""
    import torch

    return getattr(torch, dtype or ("float16" if device.startswith("cuda") else "float32"))


def load_shape_pipeline(module: Any, checkpoint: Checkpoint, device: str, dtype: str | None, *, flash: bool) -> Any:
    """Load a shape pipeline by upstream's `from_pretrained` from a local folder.

    `module` is upstream's with `Hunyuan3DDiTFlowMatchingPipeline`; for `dtype` see `precision`. `flash` is for
    upstream's FlashVDM decoder, without its exchange of the VAE, which goes to the network.

    Raises:
        RuntimeError: the files do not fit upstream's classes; names them.
    """
    with loading(f"{checkpoint.folder / checkpoint.subfolder / checkpoint.file} does not load"):
        pipeline = module.Hunyuan3DDiTFlowMatchingPipeline.from_pretrained(
            str(checkpoint.folder),
            device=device,
            dtype=precision(dtype, device),
            use_safetensors=checkpoint.safetensors,
            variant=checkpoint.variant,
            subfolder=checkpoint.subfolder,
        )
    if flash:
        pipeline.enable_flashvdm(replace_vae=False)
    return pipeline


def run_shape(pipeline: Any, image: Any, options: ShapeOptions, sampling: Stage, decoding: Stage) -> Any:
    """Sample the pipeline and decode its mesh: trimesh.Trimesh, +Y up, within [-1.01, 1.01], the front at +Z.

    The image is RGBA, the subject on a transparent background; the options have `num_inference_steps`. `sampling` hears
    of each step of the sampler, `decoding` of each block of the volume.

    Raises:
        ShapeFailed: there is no surface, or coordinates that are not finite.
    """
    import numpy as np
    import torch

    # On the CPU, also for a model on the GPU: a seed then means the same noise everywhere.
    generator = torch.Generator("cpu").manual_seed(options.seed)
    blocks = _blocks(pipeline, options)
    done = 0

    def before_block(_module: Any, _inputs: Any) -> None:
        nonlocal done
        decoding(done, blocks, None if blocks else f"{done} blocks decoded")
        done += 1

    def after_step(step: int, _time: Any, _outputs: Any) -> None:
        sampling(step + 1, steps)

    steps = options.num_inference_steps
    sampling(0, steps)
    hook = pipeline.vae.geo_decoder.register_forward_pre_hook(before_block)
    try:
        meshes = pipeline(
            image=image,
            num_inference_steps=steps,
            guidance_scale=options.guidance_scale,
            generator=generator,
            box_v=_BOX,
            octree_resolution=options.octree_resolution,
            num_chunks=options.num_chunks,
            output_type="trimesh",
            enable_pbar=False,
            callback=after_step,
            # Without it upstream divides by None.
            callback_steps=1,
        )
    finally:
        hook.remove()
    mesh = meshes[0] if isinstance(meshes, (list, tuple)) else meshes
    if mesh is None or len(mesh.faces) == 0:
        raise ShapeFailed(
            "Hunyuan3D decoded no surface: its field has one sign everywhere (upstream only prints that and returns"
            " None); try another seed, or an image with a clearer subject"
        )
    if not np.isfinite(mesh.vertices).all():
        raise ShapeFailed("Hunyuan3D decoded coordinates that are not finite: the weights or half precision failed")
    return mesh


def clean_up(version: Version, mesh: Any, options: ShapeOptions, folder: Path, stage: Stage) -> Any:
    """Take specks and degenerate triangles out, then reduce to `max_faces` triangles, by upstream's own functions.

    The mesh is a `trimesh.Trimesh`. `folder` is for upstream's temporary files, which it leaves behind; `stage` hears
    of each step.

    Raises:
        ShapeFailed: nothing is left.
    """
    module: Any = importlib.import_module(version.shape_module)
    steps: list[tuple[str, Any, dict[str, Any]]] = [
        ("specks", module.FloaterRemover(), {}),
        ("degenerate triangles", module.DegenerateFaceRemover(), {}),
    ]
    if 0 < options.max_faces < len(mesh.faces):
        steps.append(("triangles", module.FaceReducer(), {"max_facenum": options.max_faces}))
    with _temporary_files(version, folder):
        for number, (what, step, given) in enumerate(steps):
            stage(number, len(steps), f"removing {what}")
            mesh = step(mesh, **given)
    if len(mesh.faces) == 0:
        raise ShapeFailed("nothing is left of the mesh after the clean-up: it was all specks; try another seed")
    return mesh


def reduce_faces(version: Version, mesh: Any, most: int, folder: Path) -> Any:
    """Reduce a `trimesh.Trimesh` to about `most` triangles by upstream's own function, which keeps its topology and so
    may leave more. `folder` is for temporary files.
    """
    module: Any = importlib.import_module(version.shape_module)
    with _temporary_files(version, folder):
        return module.FaceReducer()(mesh, max_facenum=most)


@contextlib.contextmanager
def _temporary_files(version: Version, folder: Path) -> Iterator[None]:
    """Upstream's post-processors make temporary files that they never delete; have them made in a folder that is."""
    module: Any = importlib.import_module(f"{version.shape_module}.postprocessors")
    with tempfile.TemporaryDirectory(prefix="clean-up-", dir=folder) as name:

        def named(**options: Any) -> Any:
            return tempfile.NamedTemporaryFile(**{**options, "dir": name})

        with replaced(module, tempfile=SimpleNamespace(NamedTemporaryFile=named)):
            yield


def _blocks(pipeline: Any, options: ShapeOptions) -> int | None:
    """Calls of the decoder, known for upstream's plain one only: the others look where the surface is."""
    if type(pipeline.vae.volume_decoder).__name__ != "VanillaVolumeDecoder":
        return None
    return math.ceil((options.octree_resolution + 1) ** 3 / options.num_chunks)
