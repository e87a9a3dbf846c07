"""Single files that several recipes fetch."""

from __future__ import annotations

from .recipe import File

#: The network of rembg, which cuts out the subject of a picture: 175,997,641 bytes. U2NET_HOME is its folder.
U2NET = File(
    url="https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2net.onnx",
    path="u2net/u2net.onnx",
    size_mb=176,
    sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
)
#: DINOv2 ViT-L/14 with registers, where torch.hub looks for it below TORCH_HOME `{root}/torch`: 1,217,607,321 bytes.
DINOV2_VITL14_REG = File(
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth",
    path="torch/hub/checkpoints/dinov2_vitl14_reg4_pretrain.pth",
    size_mb=1218,
)


def real_esrgan(folder: str) -> File:
    """RealESRGAN_x4plus.pth in that folder: 67,040,989 bytes."""
    return File(
        url="https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth",
        path=f"{folder}/RealESRGAN_x4plus.pth",
        size_mb=67,
        sha256="4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
    )
