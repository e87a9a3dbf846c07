"""Text to image: any text-to-image pipeline of diffusers, which gives Hunyuan3D the picture that it needs.

Upstream's own choice is HunyuanDiT; its class has neither a callback nor another model, so diffusers is used directly.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import AdapterUnavailable
from ...runtime.failure_mapping import is_out_of_memory
from ..hub import Source
from .progress import Stage
from .weights import model_folder

REPOSITORY = "Tencent-Hunyuan/HunyuanDiT-v1.1-Diffusers-Distilled"
_INDEX = "model_index.json"
#: A subject that can be cut out.
PROMPT_SUFFIX = ", a single object, whole and centred, plain white background, 3D render, best quality"
NEGATIVE_PROMPT = "text, close-up, cropped, out of frame, several objects, blurry, low quality, deformed"


class ImageSettings(NamedTuple):
    """How pictures are made; the adapter's configuration."""

    steps: int = 25
    guidance_scale: float = 5.0
    #: Pixels of a side.
    size: int = 1024
    prompt_suffix: str = PROMPT_SUFFIX
    negative_prompt: str = NEGATIVE_PROMPT


def missing_images(source: Source) -> str | None:
    """The reason why there are no pictures, or None."""
    try:
        model_folder(source._replace(download=False), {".": _INDEX})
    except AdapterUnavailable as error:
        if source.download and source.on_hub:
            return None
        return (
            str(error)
            .replace("the weights of Hunyuan3D", "the text-to-image model")
            .replace("model_path", "text_to_image_model")
        )
    return None


def load_images(source: Source, device: str, dtype: str | None, *, offload: bool) -> Any:
    """Load a text-to-image pipeline of diffusers.

    Args:
        source: where it is.
        device: `cuda` or `cpu`.
        dtype: name of torch's; None for half precision on CUDA and single on the CPU.
        offload: on CUDA, keep it in the host's memory and move each part over only while it works.

    Raises:
        AdapterUnavailable: it is not there.
        RuntimeError: it does not load; says why.
    """
    import torch

    diffusers: Any = importlib.import_module("diffusers")

    reason = missing_images(source)
    if reason is not None:
        raise AdapterUnavailable(reason)
    place: str
    try:
        place = str(model_folder(source._replace(download=False), {".": _INDEX}))
    except AdapterUnavailable:
        # Diffusers picks the files that it needs; a snapshot would fetch every format of them.
        place = source.name
    precision = getattr(torch, dtype or ("float16" if device.startswith("cuda") else "float32"))
    try:
        pipeline = diffusers.AutoPipelineForText2Image.from_pretrained(
            place, torch_dtype=precision, local_files_only=Path(place).is_dir()
        )
    except Exception as error:  # foreign code, which raises nearly anything on files that do not fit
        if is_out_of_memory(error):
            raise
        raise RuntimeError(f"{place} does not load with diffusers: {type(error).__name__}: {error}") from error
    pipeline.set_progress_bar_config(disable=True)
    if offload and device.startswith("cuda") and importlib.util.find_spec("accelerate") is not None:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def make_image(pipeline: Any, prompt: str, seed: int, settings: ImageSettings, stage: Stage) -> Any:
    """Make one RGB picture.

    Args:
        pipeline: what `load_images` gave.
        prompt: the thing to make.
        seed: of torch's generator on the CPU.
        settings: how.
        stage: hears of each step, and may raise.
    """
    import torch

    def after_step(_pipeline: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        stage(step + 1, settings.steps)
        return values

    wanted: dict[str, Any] = {
        "negative_prompt": settings.negative_prompt or None,
        "guidance_scale": settings.guidance_scale,
        "callback_on_step_end": after_step,
    }
    # Pipelines differ: distilled ones have no negative prompt, some have no callback.
    known = inspect.signature(pipeline.__call__).parameters
    stage(0, settings.steps)
    made = pipeline(
        prompt=prompt + settings.prompt_suffix,
        num_inference_steps=settings.steps,
        width=settings.size,
        height=settings.size,
        generator=torch.Generator("cpu").manual_seed(seed),
        **{name: value for name, value in wanted.items() if name in known},
    )
    return made.images[0].convert("RGB")
