"""Writes tiny random weights in the layout of the released ones. Run with the models' interpreter:

    python hunyuan3d_tiny.py FOLDER

makes FOLDER/weights/hunyuan3d-dit-v2-0/{config.yaml,model.fp16.safetensors}, FOLDER/hollow (the same, whose field has
no surface), FOLDER/text-to-image (a StableDiffusionPipeline; not with --only-shapes) and FOLDER/modules.json (where the
code was found).
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import diffusers
import hy3dgen.shapegen
import hy3dgen.shapegen.pipelines as pipelines
import safetensors.torch
import torch
import torchvision
import yaml
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

SUBFOLDER = "hunyuan3d-dit-v2-0"
HIDDEN = 32
SETTINGS: dict[str, Any] = {
    "model": {
        "target": "hy3dgen.shapegen.models.Hunyuan3DDiT",
        "params": {
            "in_channels": 8,
            "context_in_dim": HIDDEN,
            "hidden_size": HIDDEN,
            "mlp_ratio": 2.0,
            "num_heads": 2,
            # More than is needed: sampling has to take longer than the pause between two reports.
            "depth": 12,
            "depth_single_blocks": 12,
            "axes_dim": [16],
            "theta": 10_000,
            "qkv_bias": True,
            "guidance_embed": False,
        },
    },
    "vae": {
        "target": "hy3dgen.shapegen.models.ShapeVAE",
        "params": {
            "num_latents": 16,
            "embed_dim": 8,
            "num_freqs": 4,
            "include_pi": False,
            "heads": 2,
            "width": 32,
            "num_decoder_layers": 1,
            "qkv_bias": False,
            "qk_norm": True,
            "scale_factor": 1.0,
        },
    },
    "conditioner": {
        "target": "hy3dgen.shapegen.models.SingleImageEncoder",
        "params": {
            "main_image_encoder": {
                "type": "DinoImageEncoder",
                "kwargs": {
                    "config": {
                        "hidden_size": HIDDEN,
                        "num_hidden_layers": 1,
                        "num_attention_heads": 2,
                        "image_size": 56,
                        "patch_size": 14,
                        "mlp_ratio": 2,
                    },
                    "image_size": 56,
                },
            }
        },
    },
    "image_processor": {
        "target": "hy3dgen.shapegen.preprocessors.ImageProcessorV2",
        "params": {"size": 64, "border_ratio": 0.15},
    },
    "scheduler": {
        "target": "hy3dgen.shapegen.schedulers.FlowMatchEulerDiscreteScheduler",
        "params": {"num_train_timesteps": 1000},
    },
}


def write_shape(folder: Path, *, bias: float | None) -> None:
    """A shape model by hy3dgen's own classes; `bias` is added to its field, None centres it."""
    torch.manual_seed(3)
    parts = {name: pipelines.instantiate_from_config(SETTINGS[name]) for name in ("model", "vae", "conditioner")}
    with torch.no_grad():
        for name, weight in parts["model"].named_parameters():
            if "final_layer" in name or "modulation" in name.lower() or "mod." in name:
                weight.normal_(0.0, 0.2)
        points = torch.rand(1, 4000, 3) * 2 - 1
        latents = parts["vae"](torch.randn(1, 16, 8))
        field = parts["vae"].geo_decoder(queries=points, latents=latents)
        parts["vae"].geo_decoder.output_proj.bias -= field.median()
        if bias is not None:
            parts["vae"].geo_decoder.output_proj.bias += bias
    inside = folder / SUBFOLDER
    inside.mkdir(parents=True)
    (inside / "config.yaml").write_text(yaml.safe_dump(SETTINGS))
    tensors = {
        f"{name}.{key}": value.half().contiguous()
        for name, part in parts.items()
        for key, value in part.state_dict().items()
    }
    safetensors.torch.save_file(tensors, inside / "model.fp16.safetensors")


def write_text_to_image(folder: Path) -> None:
    """A StableDiffusionPipeline of diffusers, saved as pipelines are."""
    torch.manual_seed(5)
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz,0123456789")]
    vocabulary += list("abcdefghijklmnopqrstuvwxyz,0123456789")
    words = folder / "words"
    words.mkdir(parents=True)
    (words / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(vocabulary)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=37,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    net = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=8,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=8,
    )
    vae = diffusers.AutoencoderKL(
        block_out_channels=[32, 64],
        in_channels=3,
        out_channels=3,
        down_block_types=["DownEncoderBlock2D", "DownEncoderBlock2D"],
        up_block_types=["UpDecoderBlock2D", "UpDecoderBlock2D"],
        latent_channels=4,
    )
    pipeline = diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=net,
        scheduler=diffusers.DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)
    shutil.rmtree(words)


def main() -> None:
    folder = Path(sys.argv[1])
    write_shape(folder / "weights", bias=None)
    write_shape(folder / "hollow", bias=1000.0)
    if "--only-shapes" not in sys.argv:
        write_text_to_image(folder / "text-to-image")
    modules = (hy3dgen.shapegen, pipelines, diffusers, torchvision)
    (folder / "modules.json").write_text(json.dumps([module.__file__ for module in modules]))


if __name__ == "__main__":
    main()
