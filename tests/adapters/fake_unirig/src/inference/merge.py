import argparse

from ..failing import maybe, mode_of
from ..files import add_skin, load_fbx, load_glb, save_glb


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--require_suffix", type=str, required=True)
    parser.add_argument("--num_runs", type=int, required=True)
    parser.add_argument("--id", type=int, required=True)
    for name in ("source", "target", "output"):
        parser.add_argument(f"--{name}", type=str)
    args = parser.parse_args()
    if maybe("merge", args.output):
        print(f"failed to load {args.source}")
        return
    content = load_fbx(args.source)
    assert content["skin"]
    document, blob = load_glb(args.target)
    assert "skins" not in document, "the importer draws balls for the bones of a mesh that has some"
    add_skin(document, blob, content["joints"], scale=0.5 if mode_of("merge") == "light" else 1.0)
    save_glb(args.output, document, blob)


if __name__ == "__main__":
    main()
    # As upstream, which then leaves Blender's module to its end.
    exit()
