"""The script that `make demo` ends with: paths as a user gives them, from the folder where he stands."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("validate.sh")


def glb(document: dict[str, object]) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


def test_sound_files_pass_and_broken_ones_do_not(tmp_path: Path) -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed")
    (tmp_path / "sound.glb").write_bytes(glb({"asset": {"version": "2.0"}}))
    (tmp_path / "broken.glb").write_bytes(glb({"asset": {"version": "2.0"}, "scene": 3}))

    def validate(name: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(SCRIPT), "modules", name]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    sound = validate("sound.glb")
    if "could not install" in sound.stdout:
        pytest.skip("npm has no gltf-validator here")
    assert (sound.returncode, json.loads(sound.stdout)["errors"]) == (0, 0), sound.stderr
    broken = validate("broken.glb")
    assert broken.returncode == 1 and json.loads(broken.stdout)["errors"] == 1, broken.stderr
    (tmp_path / "none.glb").write_bytes(b"no glTF at all")
    none = validate("none.glb")
    assert none.returncode == 1 and "NO_GLTF" in json.loads(none.stdout)["messages"][0], none.stderr
