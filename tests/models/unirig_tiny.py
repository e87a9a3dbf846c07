"""Writes a tiny UniRig into a folder: `unirig_tiny.py CHECKOUT FOLDER`.

`FOLDER/root` is the checkout with small numbers in its settings, `FOLDER/weights` random weights in the layout of the
published ones, made by upstream's own classes.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import yaml

checkout, folder = (Path(each).resolve() for each in sys.argv[1:])
root, weights = folder / "root", folder / "weights"
root.mkdir(parents=True)
(root / "src").symlink_to(checkout / "src", target_is_directory=True)
shutil.copyfile(checkout / "run.py", root / "run.py")
shutil.copytree(checkout / "configs", root / "configs")


def edit(name, change):
    path = root / "configs" / name
    settings = yaml.safe_load(path.read_text())
    change(settings)
    path.write_text(yaml.safe_dump(settings))
    return settings


ENCODER = {
    "num_latents": 16,
    "width": 32,
    "heads": 2,
    "num_encoder_layers": 1,
    "embed_dim": 8,
    "token_num": 32,
    "flash": False,
}
OPT = {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 32}


def small_skeleton(settings):
    settings["llm"].update(OPT)
    settings["mesh_encoder"].update(ENCODER)


def small_skin(settings):
    settings.update(num_heads=2, feat_dim=32, mlp_dim=32, num_bone_attn=1, num_mesh_bone_attn=1, bone_embed_dim=32)
    settings["mesh_encoder"].update(enc_depths=[1] * 5, enc_channels=[16, 16, 16, 16, 32], enc_num_head=[2] * 5)
    settings["global_encoder"].update(ENCODER)


def few_points(settings):
    settings["predict_transform_config"]["sampler_config"].update(num_samples=2048, vertex_samples=256)


def few_points_and_voxels(settings):
    few_points(settings)
    settings["predict_transform_config"]["vertex_group_config"]["kwargs"]["voxel_skin"]["grid"] = 48


skeleton_settings = edit("model/unirig_ar_350m_1024_81920_float32.yaml", small_skeleton)
skin_settings = edit("model/unirig_skin.yaml", small_skin)
edit("transform/inference_ar_transform.yaml", few_points)
edit("transform/inference_skin_transform.yaml", few_points_and_voxels)
edit(
    "system/ar_inference_articulationxl.yaml",
    # At least some bones, and an end: a random model says what it likes.
    lambda settings: settings["generate_kwargs"].update(min_new_tokens=30, num_beams=2, max_new_tokens=512),
)
for part in ("skeleton/articulation-xl_quantization_256", "skin/articulation-xl", "opt-350m"):
    (weights / part).mkdir(parents=True)
(weights / "opt-350m" / "config.json").write_text(json.dumps({"model_type": "opt", "vocab_size": 300, **OPT}))

os.chdir(root)
sys.path.insert(0, str(root))
import torch
from box import Box
from src.model.parse import get_model
from src.tokenizer.parse import get_tokenizer
from src.tokenizer.spec import TokenizerConfig


def save(model, part):
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    held = {"state_dict": state, "pytorch-lightning_version": "2.5.0", "epoch": 0, "global_step": 0}
    torch.save(held, weights / part / "model.ckpt")


torch.manual_seed(0)
words = Box(yaml.safe_load((root / "configs/tokenizer/tokenizer_parts_articulationxl_256.yaml").read_text()))
tokenizer = get_tokenizer(config=TokenizerConfig.parse(config=words))
settings = Box(skeleton_settings)
settings.llm.update(pretrained_model_name_or_path=str(weights / "opt-350m"), _attn_implementation="eager")
model = get_model(tokenizer=tokenizer, **settings)
with torch.no_grad():
    # Makes the end reachable, which random weights leave to chance.
    model.transformer.model.decoder.final_layer_norm.bias.fill_(0.5)
    model.transformer.get_input_embeddings().weight[tokenizer.eos].fill_(0.4)
    model.transformer.lm_head.weight[tokenizer.eos].fill_(0.4)
save(model, "skeleton/articulation-xl_quantization_256")
save(get_model(tokenizer=None, **Box(skin_settings)), "skin/articulation-xl")
