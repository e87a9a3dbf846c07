"""One thread decodes images under `limited_memory` while another takes host, pinned and device memory and starts
threads; counts what fails there.
"""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path

import torch
from PIL import Image

from pocket3d.adapters.errors import InvalidInput
from pocket3d.adapters.mesh.image_input import read_image

rounds, folder = int(sys.argv[1]), Path(sys.argv[2])
picture = io.BytesIO()
Image.new("RGB", (2048, 2048), (10, 200, 30)).save(picture, format="PNG")
path = folder / "picture.png"
path.write_bytes(picture.getvalue())

cuda = torch.cuda.is_available()
if cuda:
    torch.ones(1, device="cuda")
done = threading.Event()
decoded, refused = [0], [0]


def decode() -> None:
    while not done.is_set():
        try:
            read_image(path)
            decoded[0] += 1
        except InvalidInput:
            refused[0] += 1


thread = threading.Thread(target=decode)
thread.start()
failed: dict[str, int] = {}
for number in range(rounds):
    for name in ("host", "pinned", "device", "thread"):
        try:
            if name == "host":
                torch.ones((number % 8 + 1) * 2**24, dtype=torch.uint8)
            elif name == "pinned" and cuda:
                torch.ones((number % 8 + 1) * 2**22, dtype=torch.uint8).pin_memory()
            elif name == "device" and cuda:
                torch.ones((number % 8 + 1) * 2**24, dtype=torch.uint8, device="cuda")
            elif name == "thread":
                one = threading.Thread(target=lambda: None)
                one.start()
                one.join()
        except (MemoryError, RuntimeError) as error:
            failed[f"{name}: {type(error).__name__}"] = failed.get(f"{name}: {type(error).__name__}", 0) + 1
done.set()
thread.join()
print(json.dumps({"failed": failed, "decoded": decoded[0], "refused": refused[0]}))
