import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from src.failing import maybe, mode_of
from src.files import save_fbx
from src.model.unirig_ar import VocabSwitchingLogitsProcessor
from src.model.unirig_skin import SkinweightPred


def load(kind, path):
    path = path.removesuffix(".yaml") + ".yaml"
    print(f"\033[92mload {kind} config: {path}\033[0m")
    return yaml.safe_load(Path(path).read_text())


def record(**facts):
    """For the test: what this process was given."""
    with (Path(os.environ["FAKE_UNIRIG_RECORD"])).open("a") as file:
        file.write(json.dumps({**facts, "cwd": str(Path.cwd()), "argv": sys.argv}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", type=str, required=True)
    parser.add_argument("--seed", type=int, default=123)
    for name in ("input", "input_dir", "output", "output_dir", "cls", "data_name"):
        parser.add_argument(f"--{name}", type=str)
    parser.add_argument("--npz_dir", type=str, default="tmp")
    args = parser.parse_args()
    assert args.output.endswith(".fbx"), "output must be .fbx"
    task = load("task", args.task)
    load("data", str(Path("configs/data") / task["components"]["data"]))
    transform, system = {}, {}
    if "skin" in task["experiment_name"]:
        transform = load("transform", str(Path("configs/transform") / task["components"]["transform"]))
    else:
        system = load("system", str(Path("configs/system") / task["components"]["system"]))
    model = load("model", str(Path("configs/model") / task["components"]["model"]))
    record(task=task, model=model, system=system, transform=transform, seed=args.seed)
    assert Path(task["resume_from_checkpoint"]).is_file(), "expect resume_from_checkpoint in task"
    with Path(task["resume_from_checkpoint"]).open("rb") as file:
        assert torch.load(file, map_location="cpu", weights_only=False) == {"state_dict": {}}
    name = args.data_name or task["components"]["data_name"]
    data = np.load(Path(args.npz_dir) / args.input.rpartition(".")[0] / name, allow_pickle=True)
    vertices = data["vertices"]
    if model["__target__"] == "unirig_ar":
        if mode_of("skeleton") == "unusable" and args.seed == int(os.environ["FAKE_UNIRIG_BAD_SEED"]):
            # As upstream's predict_step does with whatever is raised in it.
            print(os.environ["FAKE_UNIRIG_SAYS"])
            sys.exit()
        processor = VocabSwitchingLogitsProcessor()
        for _ in range(20):
            processor([], 0)
            time.sleep(0.02)
        if maybe("skeleton", args.output):
            sys.exit()
        rng = np.random.default_rng(args.seed)
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        joints = (low + rng.random((5, 3)) * (high - low)).tolist()
        joints = [] if mode_of("skeleton") == "empty" else joints
        save_fbx(args.output, vertices=vertices.tolist(), joints=joints, skin=False)
    else:
        predictor = SkinweightPred()
        for _ in range(8):
            predictor.forward(0)
        if maybe("skin", args.output):
            sys.exit()
        save_fbx(args.output, vertices=vertices.tolist(), joints=data["joints"].tolist(), skin=True)
    print("Predicting DataLoader 0: 100%")
