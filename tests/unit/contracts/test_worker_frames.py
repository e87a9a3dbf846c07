"""Frames between agent and worker: whatever way the bytes are cut, the frames come out."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket3d.contracts import worker_frames as wf

SPEC = wf.AdapterSpec(adapter_id="echo", class_path="a.B", config={"x": [1, None]}, path=["/p"])
TO_WORKER: list[wf.Frame] = [
    wf.LoadModel(spec=SPEC, device="GPU-1", device_kind="cuda", vram_mb=100),
    wf.RunJob(
        run_id="1-1", job_id="j", attempt=1, feature="echo", inputs={"a": {"b": 1}}, job_dir="/d", output_dir="/d/o"
    ),
    wf.CancelRun(run_id="1-1"),
    wf.Shutdown(),
]
FROM_WORKER: list[wf.Frame] = [
    wf.ModelLoaded(load_s=0.5, vram_mb=None),
    wf.LoadFailed(code="load_failed", message="no", traceback="t"),
    wf.LoadFailed(code="out_of_memory", message="no", shortage=wf.Shortage(held_mb=5, free_mb=6)),
    wf.MemoryHeld(vram_mb=7000),
    wf.RunProgress(run_id="1-1", fraction=0.5, stage="s"),
    wf.RunFinished(run_id="1-1", outputs={"success": True}, files=[], run_s=1.0),
    wf.RunFailed(run_id="1-1", code="adapter_error", message="no"),
    wf.RunFailed(run_id="1-1", code="out_of_memory", message="no", shortage=wf.Shortage(host=True)),
]


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=60), st.booleans())
def test_frames_come_out_however_the_bytes_are_cut(cuts: list[int], from_worker: bool) -> None:
    frames = FROM_WORKER if from_worker else TO_WORKER
    data = b"".join(map(wf.pack, frames))
    reader = wf.FrameReader(from_worker=from_worker)
    got: list[wf.Frame] = []
    at = 0
    for cut in cuts:
        got += reader.feed(data[at : at + cut])
        at += cut
    got += reader.feed(data[at:])
    assert got == frames


def test_a_frame_from_the_wrong_side_is_refused() -> None:
    with pytest.raises(wf.FrameError):
        wf.FrameReader(from_worker=False).feed(wf.pack(FROM_WORKER[0]))


@pytest.mark.parametrize(
    "data",
    [
        b"hello world, printed to the wrong place",
        struct.pack(">I", wf.MAX_FRAME_BYTES + 1),
        struct.pack(">I", 1) + b"\xc1",
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(wf.FrameError):
        wf.FrameReader(from_worker=True).feed(data)


def test_what_cannot_cross_is_refused_before_it_is_sent() -> None:
    with pytest.raises(wf.FrameError, match="at most"):
        wf.pack(wf.RunFinished(run_id="r", outputs={"x": "y" * wf.MAX_FRAME_BYTES}, files=[], run_s=0.0))
    for value in (object(), 2**70, {1: {object(): 1}}):
        with pytest.raises(wf.FrameError, match="cannot be sent"):
            wf.pack(wf.RunFinished(run_id="r", outputs={"x": value}, files=[], run_s=0.0))


def test_an_output_that_contains_itself_is_refused() -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(wf.FrameError, match="cannot be sent"):
        wf.pack(wf.RunFinished(run_id="r", outputs=loop, files=[], run_s=0.0))


@pytest.mark.parametrize("from_worker", [True, False])
def test_text_that_is_no_utf8_is_no_frame(from_worker: bool) -> None:
    """Its UnicodeDecodeError was taken for a bug of the reader, and the worker's end for the kernel's doing."""
    body = b"\x81\xa4type\xa5h\xfbllo"
    with pytest.raises(wf.FrameError, match="not a frame"):
        wf.FrameReader(from_worker=from_worker).feed(len(body).to_bytes(4, "big") + body)
