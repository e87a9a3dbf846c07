import argparse
from pathlib import Path

import numpy as np

from ..failing import maybe, mode_of
from ..files import load_fbx, load_glb, positions


def main():
    parser = argparse.ArgumentParser()
    for name in ("config", "require_suffix", "force_override", "time"):
        parser.add_argument(f"--{name}", type=str, required=True)
    for name in ("faces_target_count", "num_runs", "id"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("input", "input_dir", "output_dir"):
        parser.add_argument(f"--{name}", type=str)
    args = parser.parse_args()
    assert Path(args.config).is_file()
    # As upstream: of an absolute input the folder for results is lost here.
    target = Path(args.output_dir) / args.input.rpartition(".")[0] / "raw_data.npz"
    log = Path("logs") / args.time
    log.mkdir(parents=True)
    print(f"Now processing {args.input}...")
    step = "extract-skeleton" if args.input.endswith(".fbx") else "extract"
    if maybe(step, target):
        print("0 models processed")
        return
    joints = None
    if args.input.endswith(".fbx"):
        content = load_fbx(args.input)
        vertices, joints = np.array(content["vertices"], np.float32), content.get("joints")
    else:
        vertices = positions(*load_glb(args.input))
    if mode_of(step) == "empty":
        vertices = vertices[:0]
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        target,
        vertices=vertices,
        joints=None if not joints else np.array(joints, np.float32),
        names=None if not joints else [f"bone_{index}" for index in range(len(joints))],
        parents=None if not joints else [None, *range(len(joints) - 1)],
    )
    print("1 models processed")


if __name__ == "__main__":
    main()
