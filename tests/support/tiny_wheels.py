"""Wheels for tests, made without a network: tiny packages of our own, and copies of installed pure ones."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from importlib import metadata
from pathlib import Path


def make_wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> Path:
    """A pure wheel with these modules."""
    info = f"{name}-{version}.dist-info"
    contents = {path: text.encode() for path, text in files.items()}
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    contents[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return _write(folder / f"{name}-{version}-py3-none-any.whl", info, contents)


def repack(folder: Path, name: str) -> Path:
    """An installed package as the wheel it came from, for this very interpreter."""
    found = metadata.distribution(name)
    wheel = found.read_text("WHEEL")
    assert wheel is not None
    tag = next(line.split(": ")[1] for line in wheel.splitlines() if line.startswith("Tag: "))
    info = f"{found.metadata['Name'].replace('-', '_')}-{found.version}.dist-info"
    contents = {}
    for file in found.files or []:
        path = Path(str(file.locate()))
        left_out = (
            "__pycache__" in file.parts or ".." in file.parts or file.name in ("RECORD", "INSTALLER", "REQUESTED")
        )
        if not left_out:
            contents[str(file)] = path.read_bytes()
    return _write(folder / f"{info.removesuffix('.dist-info')}-{tag}.whl", info, contents)


def worker_wheels(folder: Path) -> Path:
    """What a worker needs, for `pip install --no-index --find-links`."""
    folder.mkdir(exist_ok=True)
    # structlog needs the third before Python 3.11.
    for name in ("msgspec", "structlog", *(("typing_extensions",) if sys.version_info < (3, 11) else ())):
        repack(folder, name)
    return folder


def _write(target: Path, info: str, contents: dict[str, bytes]) -> Path:
    record = ""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in contents.items():
            wheel.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(data)}\n"
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return target
