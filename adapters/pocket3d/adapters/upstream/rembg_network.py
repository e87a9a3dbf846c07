"""The network of rembg, which cuts subjects out of pictures: upstream systems load it with the first picture.

rembg is MIT, its default network u2net Apache-2.0 (xuebinqin/U-2-Net).
"""

from __future__ import annotations

import os
from pathlib import Path

_FILE = "u2net.onnx"


def missing_network(*, download: bool) -> str | None:
    """In words that there is no network here and none may be fetched, with what to do; None if there is or may be."""
    network = network_file()
    if download or network.is_file():
        return None
    return f"there is no {network} (rembg's network): put it there or set U2NET_HOME, or download: true"


def network_file() -> Path:
    """Where rembg looks, by its own rules."""
    home = os.environ.get("U2NET_HOME", f"{os.environ.get('XDG_DATA_HOME', '~')}/.u2net")
    return Path(home).expanduser() / _FILE
