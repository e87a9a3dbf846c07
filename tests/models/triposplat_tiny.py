"""Makes upstream's TripoSplat small and writes random weights for it. Run with the models' interpreter:

    python triposplat_tiny.py CHECKOUT FOLDER

makes in FOLDER a checkout of upstream's two files, whose sizes (module constants and defaults of constructors, which
are all that is changed) are appended to `triposplat.py`, and weights/ in the layout of the released ones, but for
BiRefNet, which has its full size.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

SIZES = """

# ---- appended by tests/models/triposplat_tiny.py: the sizes
_CANVAS_SIZE = 128
FLOW_MODEL_ARGS.update(q_token_length=64, model_channels=128, cond_channels=64, num_refiner_blocks=2, num_blocks=1,
                       num_heads=2, mlp_ratio=1)
OCTREE_DECODER_ARGS.update(model_channels=64, num_blocks=1, num_heads=2, mlp_ratio=1)
GS_DECODER_ARGS.update(model_channels=64, num_blocks=1, num_heads=2, mlp_ratio=1)
DinoV3ViT.__init__.__defaults__ = (64, 2, 1, 16, 4, 64, *DinoV3ViT.__init__.__defaults__[6:])
"""


def main(checkout: Path, folder: Path) -> None:
    code, weights = folder / "checkout", folder / "weights"
    code.mkdir(parents=True)
    shutil.copy(checkout / "model.py", code)
    (code / "triposplat.py").write_text((checkout / "triposplat.py").read_text(encoding="utf-8") + SIZES)
    sys.path.insert(0, str(code))
    import torch
    import triposplat
    from safetensors.torch import save_file

    torch.manual_seed(11)
    flow = triposplat.LatentSeqMMFlowModel(**triposplat.FLOW_MODEL_ARGS)
    decoder = triposplat.OctreeGaussianDecoder(triposplat.OCTREE_DECODER_ARGS, triposplat.GS_DECODER_ARGS)
    with torch.no_grad():
        # Opacities on both sides of where half precision makes 0 and 1 of them.
        start, end = decoder.gs.layout["_opacity"]["range"]
        decoder.gs.out_proj.bias[start:end] = torch.linspace(-20, 20, end - start)
    models = {
        "diffusion_models/triposplat_fp16.safetensors": flow.half(),
        "vae/triposplat_vae_decoder_fp16.safetensors": decoder.half(),
        "clip_vision/dino_v3_vit_h.safetensors": triposplat.DinoV3ViT().bfloat16(),
        "vae/flux2-vae.safetensors": triposplat.Flux2VAEEncoder().bfloat16(),
        "background_removal/birefnet.safetensors": triposplat.BiRefNet().half(),
    }
    for name, model in models.items():
        (weights / name).parent.mkdir(parents=True, exist_ok=True)
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, weights / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
