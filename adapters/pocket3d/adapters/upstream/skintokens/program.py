"""Holds SkinTokens' model and rigs one mesh after the other: what upstream's `demo.py` does in `run_rig`, without its
web page and its server.

Upstream loads and writes meshes in a second process that listens on port 59876 of all interfaces and unpickles what it
is sent. Here Blender's module runs in this process, in its main thread, where it is safe; nothing listens.

Started by its path with the checkpoint and the device as arguments, in a folder that holds `experiments`, `models` and
`configs`, with the checkout on PYTHONPATH. A request is a line of JSON on stdin (`mesh`, `output`, `seed`, `options`),
or `{"cancel": true}`. Answers on stdout: `{"ready": true}` or `{"error": text}` once; then for each request any number
of `{"stage": text, "fraction": number}`, and one of `{"done": facts}`, `{"failed": text}`, `{"invalid": text}` (the
mesh is at fault) and `{"cancelled": true}`. Ends with its stdin. Imports nothing of Pocket3DStudio.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import queue
import random
import signal
import sys
import threading
import time
import traceback
from typing import Any

_PR_SET_PDEATHSIG = 1
#: Upstream's `max_length` of a sequence of tokens.
_MAX_LENGTH = 2048
#: Seconds between two lines of progress.
_PAUSE = 0.2
#: Fractions of a request; how its parts share the time was not measured.
_READ, _GENERATE, _POST, _WRITE = 0.02, 0.08, 0.85, 0.92


class Cancelled(BaseException):
    """The worker asked for the end of this request."""


class NoSkeleton(ValueError):
    """Weights are wanted for a skeleton that is not there."""


class Channel:
    """The worker's pipe, and what it asks for meanwhile."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        # What libraries print is no protocol.
        os.dup2(2, 1)
        self.requests: queue.Queue[dict[str, Any]] = queue.Queue()
        self.cancel = threading.Event()
        self._last = 0.0

    def send(self, **facts: Any) -> None:
        """Write one line of JSON."""
        os.write(self._out, json.dumps(facts).encode() + b"\n")

    def step(self, fraction: float, stage: str) -> None:
        """Tell how far the request is.

        Raises:
            Cancelled: it is to end here.
        """
        if self.cancel.is_set():
            raise Cancelled
        now = time.monotonic()
        if now - self._last >= _PAUSE or fraction in (_READ, _GENERATE, _POST, _WRITE):
            self._last = now
            self.send(stage=stage, fraction=fraction)

    def listen(self) -> None:
        """Take requests until stdin ends; with it ends the process, whatever it does."""
        for line in sys.stdin:
            request = json.loads(line)
            if "cancel" in request:
                self.cancel.set()
            else:
                # Of a request that has ended.
                self.cancel.clear()
                self.requests.put(request)
        os._exit(0)


class Rigger:
    """Upstream's model with what belongs to it, loaded once."""

    def __init__(self, checkpoint: str, device: str, channel: Channel) -> None:
        self._device, self._channel = device, channel
        spec: Any = importlib.import_module("src.server.spec")
        self._model = spec.get_model(checkpoint, hf_path=None, device=device)
        parse: Any = importlib.import_module("src.tokenizer.parse")
        self._tokenizer = parse.get_tokenizer(**self._model.tokenizer_config)
        transform: Any = importlib.import_module("src.data.transform")
        self._transform = transform.Transform.parse(**self._model.transform_config["predict_transform"])
        self._dataset: Any = importlib.import_module("src.data.dataset")
        self._groups: Any = importlib.import_module("src.data.vertex_group")
        self._blender: Any = importlib.import_module("src.rig_package.parser.bpy")
        self._tokens = 0
        processor: Any = importlib.import_module("src.model.tokenrig").VocabSwitchingLogitsProcessor
        original = processor.__call__

        def counted(this: Any, *arguments: Any, **options: Any) -> Any:
            # Called once for each token, of all beams together.
            self._tokens += 1
            share = min(self._tokens / _MAX_LENGTH, 1.0)
            channel.step(_GENERATE + (_POST - _GENERATE) * share, f"generating the rig, token {self._tokens}")
            return original(this, *arguments, **options)

        processor.__call__ = counted

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Rig one mesh; returns what is to be told of it."""
        torch: Any = importlib.import_module("torch")
        numpy: Any = importlib.import_module("numpy")
        options, seed = request["options"], int(request["seed"])
        for sow in (random.seed, numpy.random.seed, torch.manual_seed):
            sow(seed)
        measured = self._device.startswith("cuda")
        if measured:
            torch.cuda.reset_peak_memory_stats()
        self._tokens = 0
        self._channel.step(_READ, "reading the mesh")
        batch = self._batch(request["mesh"], torch.Tensor)
        known = None
        if options["use_skeleton"]:
            if "skeleton_tokens" not in batch or "skeleton_mask" not in batch:
                raise NoSkeleton("SkinTokens found no skeleton in the mesh")
            known = batch["skeleton_tokens"][0][batch["skeleton_mask"][0] == 1].cpu().numpy()
        else:
            batch.pop("skeleton_tokens", None)
            batch.pop("skeleton_mask", None)
        batch["generate_kwargs"] = {
            "max_length": _MAX_LENGTH,
            **{name: options[name] for name in ("top_k", "top_p", "temperature", "repetition_penalty", "num_beams")},
            "num_return_sequences": 1,
            "do_sample": True,
        }
        self._channel.step(_GENERATE, "generating the rig")
        with torch.no_grad():
            found = self._model.predict_step(
                batch, skeleton_tokens=None if known is None else [known], make_asset=True
            )["results"]
        asset = found[0].asset
        if asset is None:
            raise RuntimeError("SkinTokens' tokens came to no end; try another seed")
        if options["use_postprocess"]:
            self._channel.step(_POST, "cleaning the skin weights")
            self._clean(asset)
        self._channel.step(_WRITE, "putting the rig into the mesh")
        if options["use_transfer"]:
            self._blender.transfer_rigging(
                source_asset=asset, target_path=request["mesh"], export_path=request["output"], group_per_vertex=4
            )
        else:
            self._blender.BpyParser.export(asset=asset, filepath=request["output"], group_per_vertex=4)
        peak = -(-torch.cuda.max_memory_reserved() // 2**20) if measured else None
        return {"tokens": self._tokens, "vram_peak_mb": peak}

    def _batch(self, mesh: str, tensor: Any) -> dict[str, Any]:
        """The one batch of upstream's loader for one file, read by Blender in this thread."""
        config = self._dataset.DatasetConfig.parse(
            shuffle=False,
            batch_size=1,
            num_workers=0,
            pin_memory=False,
            persistent_workers=False,
            datapath={"data_name": None, "loader": "bpy", "filepaths": {"articulation": [mesh]}},
        ).split_by_cls()
        module = self._dataset.RigDatasetModule(
            predict_dataset_config=config,
            predict_transform=self._transform,
            tokenizer=self._tokenizer,
            process_fn=self._model._process_fn,
        )
        [batch] = module.predict_dataloader()["articulation"]
        return {key: value.to(self._device) if isinstance(value, tensor) else value for key, value in batch.items()}

    def _clean(self, asset: Any) -> None:
        voxel = asset.voxel(resolution=196)
        asset.skin *= self._groups.voxel_skin(
            grid=0,
            grid_coords=voxel.coords,
            joints=asset.joints,
            vertices=asset.vertices,
            faces=asset.faces,
            mode="square",
            voxel_size=voxel.voxel_size,
        )
        asset.normalize_skin()


def told(error: BaseException) -> str:
    """The error as a line for people."""
    return f"{type(error).__name__}: {error}"


def main(checkpoint: str, device: str) -> None:
    """Load the model, then serve the worker."""
    channel = Channel()
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # Not the folder of this file: its modules are none of SkinTokens'.
    del sys.path[0]
    try:
        rigger = Rigger(checkpoint, device, channel)
    except Exception as error:  # noqa: BLE001  # foreign code, which raises nearly anything
        traceback.print_exc()
        channel.send(error=told(error))
        return
    channel.send(ready=True)
    threading.Thread(target=channel.listen, daemon=True).start()
    while True:
        request = channel.requests.get()
        try:
            channel.send(done=rigger.run(request))
        except Cancelled:
            channel.send(cancelled=True)
        except NoSkeleton as error:
            channel.send(invalid=str(error))
        except Exception as error:  # noqa: BLE001  # as above
            traceback.print_exc()
            channel.send(failed=told(error))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    sys.stderr.flush()
    # Without the interpreter's own end: Blender's module crashes in it (4.2.0: SIGSEGV).
    os._exit(1)
