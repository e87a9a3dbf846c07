"""The page in Chromium, against a gateway of the standard library; browser.mjs has the cases.

Skipped where there is no Chromium, no Node.js, or no npm to fetch playwright-core with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.import_graph import ROOT
from web.fake_gateway import fake_gateway

CASES = ("photograph", "chain", "dropped", "cancel", "admin", "lost", "token", "phone", "many")
PHOTO = ROOT / "examples" / "photos" / "camera.png"
#: Software GL takes minutes on a machine that is busy otherwise.
_LONGEST_S = 800

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser"), pytest.mark.timeout(_LONGEST_S + 60)]


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is not installed")


def _playwright(folder: Path) -> Path:
    """playwright-core, as installed for building the page, else fetched into a folder."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    package = json.loads((ROOT / "ops" / "web" / "package.json").read_text(encoding="utf-8"))
    installed = ROOT / "ops" / "web" / "node_modules" / "playwright-core"
    if installed.is_dir():
        return installed
    wanted = f"playwright-core@{package['devDependencies']['playwright-core']}"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not install {wanted}")
    return folder / "node_modules" / "playwright-core"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each case said of itself; one browser plays them all."""
    chromium, playwright = _chromium(), _playwright(tmp_path_factory.mktemp("playwright"))
    script = Path(__file__).with_name("browser.mjs")
    with fake_gateway() as gateway:
        done = subprocess.run(
            ["node", str(script), str(playwright), chromium, gateway.url, str(PHOTO)],
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
            env={**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))},
        )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(CASES), done.stderr
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("case", CASES)
def test_the_page(told: dict[str, dict[str, Any]], case: str) -> None:
    assert told[case]["ok"], told[case]["error"]
