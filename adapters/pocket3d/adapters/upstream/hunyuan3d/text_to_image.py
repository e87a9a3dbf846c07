"""Text to image: any text-to-image pipeline of diffusers, which gives Hunyuan3D the picture that it needs.

Upstream's own choice is HunyuanDiT; its class has neither a callback nor another model, so diffusers is used directly.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
from pathlib import Path
from typing import Any

from ...errors import AdapterUnavailable
from ..code import loading
from ..hub import Source
from .family import ShapeConfig
from .progress import Stage
from .shape import precision
from .weights import missing, model_folder

REPOSITORY = "Tencent-Hunyuan/HunyuanDiT-v1.1-Diffusers-Distilled"
_INDEX = "model_index.json"


class TextConfig(ShapeConfig):
    """The arguments of `hunyuan3d-text-to-mesh`. The image that is made has a background, so the `background_remover`
    `none` refuses everything.
    """

    #: A diffusers folder, or a repository on the hub.
    text_to_image_model: str | Path | None = None
    #: Of its sampler.
    text_to_image_steps: int = 25
    text_to_image_guidance: float = 5.0
    #: Pixels of a side.
    text_to_image_size: int = 1024
    #: Keep it in the host's memory and move its parts to the GPU only while they work.
    text_to_image_offload: bool = True
    #: Put after each prompt, so that the picture shows one thing that can be cut out.
    prompt_suffix: str = ", a single object, whole and centred, plain white background, 3D render, best quality"
    #: What pictures shall not show.
    negative_prompt: str = "text, close-up, cropped, out of frame, several objects, blurry, low quality, deformed"


def missing_images(source: Source) -> str | None:
    """The reason why there are no pictures, or None."""
    lacking = missing(source, None, [{".": _INDEX}]) or ""
    lacking = lacking.replace("the weights of Hunyuan3D", "the text-to-image model")
    return lacking.replace("model_path", "text_to_image_model") or None


def load_images(source: Source, device: str, dtype: str | None, *, offload: bool) -> Any:
    """Load a text-to-image pipeline of diffusers.

    For `dtype` see `shape.precision`. With `offload` it is kept in the host's memory, and each part moved to the GPU
    only while it works.

    Raises:
        AdapterUnavailable: it is not there.
        RuntimeError: it does not load; says why.
    """
    diffusers: Any = importlib.import_module("diffusers")

    reason = missing_images(source)
    if reason is not None:
        raise AdapterUnavailable(reason)
    # Diffusers picks the files that it needs; a snapshot would fetch every format of them.
    place = source.name
    with contextlib.suppress(AdapterUnavailable):
        place = str(model_folder(source._replace(download=False), {".": _INDEX}))
    with loading(f"{place} does not load with diffusers"):
        pipeline = diffusers.AutoPipelineForText2Image.from_pretrained(
            place, torch_dtype=precision(dtype, device), local_files_only=Path(place).is_dir()
        )
    pipeline.set_progress_bar_config(disable=True)
    if offload and device.startswith("cuda") and importlib.util.find_spec("accelerate") is not None:
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def make_image(pipeline: Any, prompt: str, seed: int, config: TextConfig, stage: Stage) -> Any:
    """Make one RGB picture. The seed is of torch's generator on the CPU. `stage` hears of each step, and may raise."""
    import torch

    def after_step(_pipeline: Any, step: int, _time: Any, values: dict[str, Any]) -> dict[str, Any]:
        stage(step + 1, config.text_to_image_steps)
        return values

    wanted: dict[str, Any] = {
        "negative_prompt": config.negative_prompt or None,
        "guidance_scale": config.text_to_image_guidance,
        "callback_on_step_end": after_step,
    }
    # Pipelines differ: distilled ones have no negative prompt, some have no callback.
    known = inspect.signature(pipeline.__call__).parameters
    stage(0, config.text_to_image_steps)
    made = pipeline(
        prompt=prompt + config.prompt_suffix,
        num_inference_steps=config.text_to_image_steps,
        width=config.text_to_image_size,
        height=config.text_to_image_size,
        generator=torch.Generator("cpu").manual_seed(seed),
        **{name: value for name, value in wanted.items() if name in known},
    )
    return made.images[0].convert("RGB")
