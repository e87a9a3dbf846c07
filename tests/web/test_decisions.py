"""What the page decides, on values: ops/web/test, where its packages are installed (`make web`)."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from support.import_graph import ROOT

WEB = ROOT / "ops" / "web"


def test_the_pages_decisions() -> None:
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules" / "rolldown").is_dir():
        pytest.skip("the page's packages are not installed: make web")
    done = subprocess.run([npm, "test", "--silent"], cwd=WEB, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
