"""Stands for the module that loads the model."""

import os
from pathlib import Path

from ..model.tokenrig import TokenRig


def get_model(ckpt_path, hf_path=None, device="cuda"):
    assert Path(ckpt_path).is_file() and Path("models/Qwen3-0.6B/config.json").is_file() and Path("configs").is_dir()
    if os.environ.get("FAKE_SKINTOKENS") == "load":
        raise RuntimeError("Error(s) in loading state_dict for TokenRig")
    return TokenRig()
