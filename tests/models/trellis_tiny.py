"""Writes tiny random weights in the layout of the released ones. Run with the models' interpreter:

    python trellis_tiny.py FOLDER

makes in FOLDER weights/{TRELLIS-image-large,TRELLIS-text-xlarge,tiny-clip}, torch, what torch.hub keeps of DINOv2, and
u2net, where rembg's network would be;
modules.json says which files it ran.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

HUBCONF = """
import torch


class Tiny(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = torch.nn.Conv2d(3, 32, 74, 74)

    def forward(self, image, is_training=False):
        return {"x_prenorm": self.patch(image).flatten(2).transpose(1, 2)}


def dinov2_vitl14_reg(pretrained=True):
    state = torch.get_rng_state()
    torch.manual_seed(5)
    model = Tiny()
    torch.set_rng_state(state)
    return model
"""
FLOW = {"model_channels": 32, "cond_channels": 32, "num_blocks": 1, "num_heads": 2, "mlp_ratio": 2, "pe_mode": "ape"}
MODELS = {
    "sparse_structure_flow_model": (
        "SparseStructureFlowModel",
        {"resolution": 4, "in_channels": 8, "out_channels": 8, "patch_size": 1, **FLOW},
    ),
    "sparse_structure_decoder": (
        "SparseStructureDecoder",
        {
            "out_channels": 1,
            "latent_channels": 8,
            "num_res_blocks": 1,
            "num_res_blocks_middle": 1,
            "channels": [32, 32],
            "norm_type": "layer",
        },
    ),
    "slat_flow_model": (
        "SLatFlowModel",
        {
            "resolution": 8,
            "in_channels": 8,
            "out_channels": 8,
            "patch_size": 2,
            "num_io_res_blocks": 2,
            "io_block_channels": [32],
            **FLOW,
        },
    ),
    "slat_decoder_mesh": (
        "SLatMeshDecoder",
        {
            "resolution": 8,
            "model_channels": 256,
            "latent_channels": 8,
            "num_blocks": 1,
            "num_heads": 4,
            "mlp_ratio": 1,
            "attn_mode": "swin",
            "window_size": 8,
            "pe_mode": "ape",
            "representation_config": {"use_color": True},
        },
    ),
}
SAMPLER = {
    "name": "FlowEulerGuidanceIntervalSampler",
    "args": {"sigma_min": 1e-5},
    "params": {"steps": 5, "cfg_strength": 5.0, "cfg_interval": [0.5, 1.0], "rescale_t": 3.0},
}


def main(folder: Path) -> None:
    import trellis.models
    import trellis.pipelines
    from safetensors.torch import save_file

    torch.manual_seed(11)
    image = folder / "weights" / "TRELLIS-image-large"
    text = folder / "weights" / "TRELLIS-text-xlarge"
    for each in (image, text):
        (each / "ckpts").mkdir(parents=True)
    own = {}
    for name, (kind, arguments) in MODELS.items():
        model = getattr(trellis.models, kind)(**arguments)
        with torch.no_grad():
            for parameter in model.parameters():
                # Layers that training starts at zero: with them nothing would depend on the input.
                if parameter.ndim > 1 and not parameter.any():
                    parameter.normal_(0.0, 0.3)
            if kind == "SparseStructureDecoder":
                # A fifth of the voxels occupied, not half: all that follows takes as long as there are voxels.
                field = model(torch.randn(1, arguments["latent_channels"], 4, 4, 4))
                model.out_layer[-1].bias -= field.quantile(0.8)
        own[name] = f"ckpts/{name}"
        (image / f"{own[name]}.json").write_text(json.dumps({"name": kind, "args": arguments}))
        save_file(model.state_dict(), image / f"{own[name]}.safetensors")
    # As in the release, where the text pipeline takes its decoders from the image pipeline's repository.
    borrowed = {name: f"microsoft/TRELLIS-image-large/{path}" for name, path in own.items()}
    _pipeline(image, "TrellisImageTo3DPipeline", own, {"image_cond_model": "dinov2_vitl14_reg"})
    _pipeline(text, "TrellisTextTo3DPipeline", borrowed, {"text_cond_model": "openai/tiny-clip"})
    _clip(folder / "weights" / "tiny-clip")
    hub = folder / "torch" / "hub" / "facebookresearch_dinov2_main"
    hub.mkdir(parents=True)
    (hub / "hubconf.py").write_text(HUBCONF)
    # These are looked for before the load; nothing reads them here.
    for empty in (hub.parent / "checkpoints" / "dinov2_vitl14_reg4_pretrain.pth", folder / "u2net" / "u2net.onnx"):
        empty.parent.mkdir()
        empty.touch()
    used = ("trellis.pipelines", "trellis.pipelines.samplers.flow_euler", "spconv", "torchvision")
    (folder / "modules.json").write_text(json.dumps([sys.modules[name].__file__ for name in used]))


def _pipeline(folder: Path, name: str, models: dict[str, str], encoder: dict[str, str]) -> None:
    normal = {"mean": [0.0] * 8, "std": [1.0] * 8}
    arguments = {
        "models": models,
        "sparse_structure_sampler": SAMPLER,
        "slat_sampler": SAMPLER,
        "slat_normalization": normal,
        **encoder,
    }
    (folder / "pipeline.json").write_text(json.dumps({"name": name, "args": arguments}))


def _clip(folder: Path) -> None:
    from transformers import CLIPTextConfig, CLIPTextModel

    folder.mkdir()
    letters = [chr(each) for each in range(33, 127)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{each}</w>" for each in letters)]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": tokens[0], "eos_token": tokens[1], "unk_token": tokens[1], "pad_token": tokens[1]}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **special}))
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=32,
        projection_dim=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    CLIPTextModel(config).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
