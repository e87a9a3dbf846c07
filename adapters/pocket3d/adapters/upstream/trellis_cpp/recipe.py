"""The environment of trellis.cpp: a program that upstream publishes ready-made, its weights, and a small Python
environment for the adapter itself (reading images, looking at meshes).

Written from upstream's release workflow, installer and documentation; not performed here, where there is no GPU.
"""

from __future__ import annotations

from ...catalogue.recipe import File, Part, Recipe, Weights

#: The first release with Pixal3D is v0.8.0.
VERSION = "v0.8.1"
_RELEASE = f"https://github.com/pwilkin/trellis.cpp/releases/download/{VERSION}"

_PIXAL3D = Part(
    name="pixal3d",
    default=False,
    needed_by=("pixal3d-cpp-image-to-mesh",),
    weights=(
        Weights(
            repository="vegax87/Pixal3D",
            folder="weights",
            # Nobody names a commit of it.
            revision="main",
            files=(
                "pixal3d_ss_flow.gguf",
                "pixal3d_shape_flow_512.gguf",
                "pixal3d_shape_flow_1024.gguf",
                "pixal3d_tex_flow_1024.gguf",
                "pixal3d_naf.gguf",
            ),
            # "11.0 GB in total" by users of it.
            size_mb=11_000,
            estimated=True,
        ),
    ),
)

RECIPE = Recipe(
    name="trellis-cpp",
    python=("3.12", "3.11", "3.13", "3.10"),
    requirements=(
        "trimesh>=4.4,<6",
        "numpy>=1.24",
        "scipy>=1.10",
        "networkx>=3",
        "pillow>=10.1",
        "embreex>=2.17.7.post4",
        # Reads what the program takes of the GPU.
        "nvidia-ml-py>=12.535",
    ),
    modules=("trimesh", "numpy", "scipy", "networkx", "PIL", "embreex", "pynvml"),
    files=(
        File(
            url=f"{_RELEASE}/trellis-cuda-linux-x64.tar.gz",
            path="downloads/trellis-cuda-linux-x64.tar.gz",
            unpack="program",
            # The same build for Windows had 729 MB (v0.6.0); it brings the CUDA 13 runtime with it.
            size_mb=730,
            estimated=True,
        ),
    ),
    weights=(
        Weights(
            repository="ilintar/trellis2-gguf",
            folder="weights",
            # The commit that other projects pin, with the sums of its files.
            revision="a57397bd3d351599d9729fc144b3f87c3f87d65b",
            # 16 bits. The folders q8 and q4 of the repository have smaller ones of the same names.
            files=(
                "birefnet.gguf",
                "dinov3.gguf",
                "ss_flow.gguf",
                "ss_dec.gguf",
                "shape_flow_512.gguf",
                "shape_flow_1024.gguf",
                "shape_dec.gguf",
                "tex_flow_512.gguf",
                "tex_flow_1024.gguf",
                "tex_dec.gguf",
            ),
            # 16.49 GB in ten files, as the hub lists them at that commit.
            size_mb=16_490,
        ),
    ),
    # The release is compiled for 7.5, 8.0, 8.6, 8.9, 9.0 and 12.0 (.github/workflows/release.yml).
    least_capability="7.5",
    config={"program": "{root}/program/trellis-server", "model_path": "{root}/weights"},
    notes=(
        "The program is built for CUDA 13: the driver has to be 580 or newer.",
        (
            "For compute capability 6.0 to 7.0 upstream publishes trellis-cuda12-linux-x64.tar.gz: unpack it and set"
            " `program` in the adapter's config to its trellis-server."
        ),
        "The image encoder is DINOv3, under Meta's DINOv3 License: read it before you accept.",
    ),
    parts=(_PIXAL3D,),
)
