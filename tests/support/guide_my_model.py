"""The `my_model` package that the guide's adapter imports; copied under that name. It notes its calls."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

#: Put in where the file is copied.
JOURNAL = "@JOURNAL@"


def note(**what: Any) -> None:
    with Path(JOURNAL).open("a") as file:
        file.write(json.dumps({**what, "pid": os.getpid()}) + "\n")


class Mesh:
    vertex_count = 8
    face_count = 12

    def save(self, path: Path) -> None:
        Path(path).write_bytes(b"glTF a mesh")


class MyModelPipeline:
    @classmethod
    def from_pretrained(cls, path: str, device: str, custom_param: str) -> MyModelPipeline:
        note(call="from_pretrained", path=path, device=device, custom_param=custom_param)
        return cls()

    def generate(self, prompt: str, quality: str) -> Mesh:
        note(call="generate", prompt=prompt, quality=quality)
        return Mesh()

    def cpu(self) -> None:
        note(call="cpu")
