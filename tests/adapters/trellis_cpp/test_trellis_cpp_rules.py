"""Pure parts of the trellis.cpp adapters: progress read from lines, and a mesh put upright."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from pocket3d.adapters.upstream.trellis_cpp.progress import Progress
from pocket3d.adapters.upstream.trellis_cpp.standing import stand_up

LINES_1024 = """[trellis-server] generate: 181620-byte image, seed 42, res 1024, bg auto, uv xatlas
[trellis] generating model with seed 42
[1/6] preprocess /tmp/trellis-req-0.png (BiRefNet bg removal, 1024 cascade)
[2/6] DINOv3 conditioning
ggml_cuda_init: found 1 CUDA devices (Total VRAM: 32141 MiB):
      cond tokens=1029
[3/6] sparse-structure flow + decode
      [flow] [....................]  0/12    0.0s  starting
      [flow] [##########..........]  6/12    2.1s  ~2s left
      [flow] [####################] 12/12    4.1s  ~0s left
      [flow] 12 steps, 22 forwards, 4.1s
      active voxels @res32 = 3711
[4/7] shape SLAT flow (LR 512 -> upsample -> HR 1024 cascade, max_tok=49152)
      [flow] [....................]  0/12    0.0s  starting
      [flow] [####################] 12/12    4.1s  ~0s left
      upsampled coords @res512=100 -> quantized @res1024 (grid 64) = 90 tokens
      [flow] [....................]  0/12    0.0s  starting
      [flow] [##########..........]  6/12    9.1s  ~9s left
      [flow] [####################] 12/12   18.1s  ~0s left
[5/7] FlexiDualGrid shape decode -> mesh @res1024
[6/7] texture SLAT flow + PBR decode
      [flow] [####################] 12/12   18.1s  ~0s left
[7/7] write /tmp/trellis-req-0.glb"""


def test_progress_follows_the_stages_and_the_steps_of_each_flow() -> None:
    read = Progress(cascade=True)
    steps = [step for line in LINES_1024.splitlines() if (step := read(line)) is not None]
    fractions = [step.fraction for step in steps]
    assert fractions == sorted(f for f in fractions if f is not None)
    assert [(step.stage, step.message) for step in steps] == [
        ("cutting the subject out", None),
        ("reading the image", None),
        ("structure", None),
        ("structure", "step 0 of 12"),
        ("structure", "step 6 of 12"),
        ("structure", "step 12 of 12"),
        ("shape", None),
        ("shape", "step 0 of 12"),
        ("shape", "step 12 of 12"),
        ("fine shape", "step 0 of 12"),
        ("fine shape", "step 6 of 12"),
        ("fine shape", "step 12 of 12"),
        ("decoding the shape", None),
        ("colour", None),
        ("colour", "step 12 of 12"),
        ("making the mesh", None),
    ]
    assert steps[4].fraction == pytest.approx(0.12)
    assert steps[10].fraction == pytest.approx(0.46)


@pytest.mark.parametrize(
    "line", ["", "[flow] [##..] 3/12", "[9/7] what is this", "[4/7]", "      [flow] [....] 0/0 starting", "\x00[1/6"]
)
def test_other_lines_say_nothing(line: str) -> None:
    assert Progress(cascade=False)(line) is None


def test_a_stage_that_comes_again_does_not_go_back() -> None:
    read = Progress(cascade=False)
    later = read("[6/7] texture SLAT flow + PBR decode")
    again = read("[4/7] shape SLAT flow (512)")
    assert later is not None
    assert again is not None
    assert again.fraction == later.fraction


def glb(document: dict[str, Any]) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text), len(text), 0x4E4F534A) + text


def document_of(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack_from("<I", data, 12)
    found: dict[str, Any] = json.loads(data[20 : 20 + length])
    return found


def test_only_a_node_is_put_above_those_of_each_scene() -> None:
    scenes: list[dict[str, Any]] = [{"nodes": [0, 1]}, {"name": "empty"}]
    nodes = [{"name": "a"}, {"name": "b"}]
    document = {"asset": {"version": "2.0"}, "scenes": scenes, "nodes": nodes, "extras": [1]}
    turned = document_of(stand_up(glb(document)))
    assert turned["scenes"] == [{"nodes": [2]}, {"name": "empty"}]
    assert turned["nodes"][:2] == document["nodes"]
    assert turned["nodes"][2]["children"] == [0, 1]
    assert turned["extras"] == [1]


BROKEN: list[dict[str, Any]] = [{"asset": {}}, {"scenes": {}, "nodes": []}, {"scenes": [], "nodes": 1}]


@pytest.mark.parametrize("data", [b"", b"glTF", *map(glb, BROKEN)])
def test_what_has_no_scenes_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        stand_up(data)
