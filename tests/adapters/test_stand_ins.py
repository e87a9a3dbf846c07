"""The stand-ins of upstream systems have the parameters of real checkouts, where those are named:

    TRIPOSPLAT_CHECKOUT=~/TripoSplat TRELLIS2_CHECKOUT=~/TRELLIS.2 SKINTOKENS_CHECKOUT=~/SkinTokens pytest ...

Their sources are parsed and nothing of them is run.
"""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: Environment variable -> stand-in, its file, upstream's file, and the functions that our adapters rely on.
PAIRS = [
    (
        "TRIPOSPLAT_CHECKOUT",
        "fake_triposplat/triposplat.py",
        "triposplat.py",
        (
            "TripoSplatPipeline.__init__ TripoSplatPipeline.run TripoSplatPipeline.preprocess_image"
            " TripoSplatPipeline.encode_image TripoSplatPipeline.sample_latent TripoSplatPipeline.decode_latent"
            " Gaussian.save_ply Gaussian.save_splat"
        ),
    ),
    (
        "TRELLIS2_CHECKOUT",
        "fake_trellis2/trellis2/pipelines/__init__.py",
        "trellis2/pipelines/trellis2_image_to_3d.py",
        (
            "Trellis2ImageTo3DPipeline.run Trellis2ImageTo3DPipeline.sample_sparse_structure"
            " Trellis2ImageTo3DPipeline.decode_shape_slat"
        ),
    ),
    (
        "TRELLIS2_CHECKOUT",
        "fake_trellis2/trellis2/pipelines/__init__.py",
        "trellis2/pipelines/trellis2_texturing.py",
        (
            "Trellis2TexturingPipeline.run Trellis2TexturingPipeline.encode_shape_slat"
            " Trellis2TexturingPipeline.preprocess_mesh Trellis2TexturingPipeline.postprocess_mesh"
        ),
    ),
    (
        "TRELLIS2_CHECKOUT",
        "fake_trellis2/trellis2/pipelines/__init__.py",
        "trellis2/pipelines/base.py",
        "Pipeline.from_pretrained Pipeline.to",
    ),
    (
        "TRELLIS2_CHECKOUT",
        "fake_trellis2/packages/o_voxel/postprocess.py",
        "o-voxel/o_voxel/postprocess.py",
        "to_glb",
    ),
    ("SKINTOKENS_CHECKOUT", "fake_skintokens/src/server/spec.py", "src/server/spec.py", "get_model"),
    ("SKINTOKENS_CHECKOUT", "fake_skintokens/src/tokenizer/parse.py", "src/tokenizer/parse.py", "get_tokenizer"),
    ("SKINTOKENS_CHECKOUT", "fake_skintokens/src/data/transform.py", "src/data/transform.py", "Transform.parse"),
    ("SKINTOKENS_CHECKOUT", "fake_skintokens/src/data/vertex_group.py", "src/data/vertex_group.py", "voxel_skin"),
    (
        "SKINTOKENS_CHECKOUT",
        "fake_skintokens/src/data/dataset.py",
        "src/data/dataset.py",
        "DatasetConfig.parse DatasetConfig.split_by_cls RigDatasetModule.predict_dataloader",
    ),
    (
        "SKINTOKENS_CHECKOUT",
        "fake_skintokens/src/model/tokenrig.py",
        "src/model/tokenrig.py",
        "TokenRig.predict_step VocabSwitchingLogitsProcessor.__call__",
    ),
    (
        "SKINTOKENS_CHECKOUT",
        "fake_skintokens/src/rig_package/parser/bpy.py",
        "src/rig_package/parser/bpy.py",
        "BpyParser.load BpyParser.export transfer_rigging",
    ),
]


def parameters(file: Path) -> dict[str, list[str]]:
    """Names of the parameters of a module's functions and of its classes' methods."""
    found: dict[str, list[str]] = {}
    for each in ast.parse(file.read_text(encoding="utf-8")).body:
        members = [(f"{each.name}.", one) for one in each.body] if isinstance(each, ast.ClassDef) else [("", each)]
        for prefix, one in members:
            if isinstance(one, ast.FunctionDef):
                found[f"{prefix}{one.name}"] = [name.arg for name in (*one.args.args, *one.args.kwonlyargs)]
    return found


@pytest.mark.parametrize(("variable", "ours", "theirs", "names"), PAIRS, ids=[f"{a} {c}" for a, _, c, _ in PAIRS])
def test_the_stand_in_has_upstreams_parameters(variable: str, ours: str, theirs: str, names: str) -> None:
    stand_in = parameters(HERE / ours)
    assert set(names.split()) <= set(stand_in)
    checkout = os.environ.get(variable)
    if checkout is None:
        pytest.skip(f"{variable} names no checkout")
    real = parameters(Path(checkout) / theirs)
    assert {name: stand_in[name] for name in names.split()} == {name: real[name] for name in names.split()}
