"""Stands for upstream's model: as many bones as `top_k`, or those of the skeleton that it is given."""

import os
import signal
import time
from types import SimpleNamespace

import torch


class VocabSwitchingLogitsProcessor:
    def __call__(self, input_ids, scores):
        return scores


class TokenRig:
    tokenizer_config = {"name": "tokens"}
    transform_config = {"predict_transform": {"sampler": "x"}}

    def _process_fn(self, batch):
        return batch

    def predict_step(
        self, batch, no_cls=False, skeleton_tokens=None, parents=None, num_joints=None, make_asset=False, **kwargs
    ):
        assert make_asset and ("skeleton_tokens" in batch) == (skeleton_tokens is not None)
        generate = batch["generate_kwargs"]
        assert generate["max_length"] == 2048 and generate["do_sample"] and generate["num_return_sequences"] == 1
        fault = os.environ.get("FAKE_SKINTOKENS")
        processor = VocabSwitchingLogitsProcessor()
        for token in range(40 if fault != "slow" else 400):
            processor(torch.zeros(1, token), torch.zeros(1, 8))
            if fault in ("slow", "deaf"):
                time.sleep(0.05)
        while fault == "deaf":
            time.sleep(0.05)
        if fault == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        asset = batch["model_input"][0].asset
        asset.bones = generate["top_k"] if skeleton_tokens is None else len(skeleton_tokens[0])
        asset.shift = float(torch.rand(1))
        return {"results": [SimpleNamespace(asset=None if fault == "no_end" else asset)]}
