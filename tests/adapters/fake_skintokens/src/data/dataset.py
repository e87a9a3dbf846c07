"""Stands for upstream's loader: one file, read in this process."""

from types import SimpleNamespace

import torch

from ..rig_package.parser.bpy import BpyParser


class DatasetConfig:
    @classmethod
    def parse(cls, **kwargs):
        assert set(kwargs) == {
            *("shuffle", "batch_size", "num_workers", "pin_memory", "persistent_workers", "datapath"),
        }
        config = cls()
        config.datapath = kwargs["datapath"]
        assert config.datapath["loader"] == "bpy" and kwargs["num_workers"] == 0
        return config

    def split_by_cls(self):
        return {"articulation": self}


class RigDatasetModule:
    def __init__(
        self,
        predict_dataset_config=None,
        predict_transform=None,
        tokenizer=None,
        process_fn=None,
    ):
        assert tokenizer == "tokens" and process_fn("x") == "x" and predict_transform is not None
        [self.path] = predict_dataset_config["articulation"].datapath["filepaths"]["articulation"]

    def predict_dataloader(self):
        asset = BpyParser.load(self.path)
        batch = {"vertices": torch.zeros(1, 4, 3), "normals": torch.zeros(1, 4, 3), "cls": ["articulation"]}
        batch["model_input"] = [SimpleNamespace(asset=asset)]
        if asset.rigged:
            batch["skeleton_tokens"] = torch.tensor([[7, 8, 9, 0]])
            batch["skeleton_mask"] = torch.tensor([[1, 1, 1, 0]])
        return {"articulation": [batch]}
