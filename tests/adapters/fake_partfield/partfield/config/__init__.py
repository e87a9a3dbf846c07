import argparse
from pathlib import Path
from types import SimpleNamespace


def default_argument_parser(add_help=True, default_config_file=""):
    parser = argparse.ArgumentParser(add_help=add_help)
    parser.add_argument("--config-file", "-c", default=default_config_file)
    parser.add_argument("--opts", default=None, nargs=argparse.REMAINDER)
    return parser


def setup(args, freeze=True):
    assert not freeze, "the adapter sets options of each request"
    lines = Path(args.config_file).read_text().splitlines()
    given = dict(line.strip().split(": ", 1) for line in lines if line.strip())
    assert args.opts == ["dataset.val_num_workers", "0"]
    return SimpleNamespace(
        result_name=given["result_name"],
        n_point_per_face=int(given["n_point_per_face"]),
        n_sample_each=int(given["n_sample_each"]),
        is_pc=False,
        vertex_feature=True,
        pvcnn=SimpleNamespace(),
    )
