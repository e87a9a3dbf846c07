"""Writes random weights of PartField's full size (its sizes are fixed in its code; 428 MB), as Lightning writes them:
`partfield_random.py CHECKOUT FILE`.
"""

import os
import sys

checkout, target = sys.argv[1:]
sys.path.insert(0, checkout)
import partfield.model_trainer_pvcnn_only_demo as trainer
import torch
from partfield.config import default_argument_parser, setup

options = ["-c", f"{checkout}/configs/final/demo.yaml", "--opts", "dataset.val_num_workers", "0"]
config = setup(default_argument_parser().parse_args(options), freeze=False)
encoder = trainer.TriPlanePC2Encoder
trainer.TriPlanePC2Encoder = lambda *arguments, **named: encoder(*arguments, **{**named, "device": "cpu"})
torch.manual_seed(0)
model = trainer.Model(config)
held = {"state_dict": model.state_dict(), "hyper_parameters": dict(model.hparams), "epoch": 0, "global_step": 0}
torch.save(held, target)
sys.stdout.flush()
# Some of what upstream imports crashes at the interpreter's own end.
os._exit(0)
