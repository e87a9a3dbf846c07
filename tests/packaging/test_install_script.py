"""ops/install.sh with an interpreter that only notes what it is asked: which extras, and who is asked before."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from support.pages import ROOT

INTERPRETER = """#!/usr/bin/env bash
echo "$*" >>"{log}"
case "$*" in
  *"import torch"*) exit 1 ;;
  *--dry-run*) echo "{{}}" ;;
  *download_size*) cat >/dev/null; echo "to download: 68 packages, 3113 MB"; exit {size_exit} ;;
esac
"""


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    return tmp_path / "venv"


def run(venv: Path, extras: str, torch: str, *, size_exit: int = 0, answer: str | None = None) -> tuple[int, str, str]:
    """Exit code, what it said, and what the interpreter was asked. `answer` is typed on a terminal."""
    log = venv / "asked"
    python = venv / "bin" / "python"
    python.write_text(INTERPRETER.format(log=log, size_exit=size_exit))
    python.chmod(0o755)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(ROOT / "ops" / "install.sh"), str(venv), extras],
        env={**os.environ, "TORCH": torch},
        stdin=subprocess.DEVNULL if answer is None else theirs,
        stdout=subprocess.PIPE if answer is None else theirs,
        stderr=subprocess.STDOUT,
    )
    if answer is None:
        said = process.communicate(timeout=60)[0]
    else:
        os.write(ours, answer.encode())
        process.wait(timeout=60)
        said = os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)
    return process.returncode, said.decode(), log.read_text()


def test_without_torch_everything_else_is_there(venv: Path) -> None:
    code, said, asked = run(venv, "all,dev", "none")
    assert code == 0, said
    assert "--editable .[server,meshes,gateway,dev]" in asked
    assert "torch: none; generators" in said


def test_a_script_goes_on_however_much_it_is(venv: Path) -> None:
    code, said, asked = run(venv, "all", "none", size_exit=3)
    assert (code, "3113 MB" in said) == (0, True)
    assert "pip --disable-pip-version-check install --editable .[server,meshes,gateway] --quiet" in asked


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_a_person_is_asked_before_more_than_a_gigabyte(venv: Path, answer: str, code: int) -> None:
    done, said, asked = run(venv, "all", "none", size_exit=3, answer=answer)
    assert done == code, said
    assert "go on?" in said
    assert ("install --editable .[server,meshes,gateway] --quiet" in asked) is (code == 0)


def test_little_is_nobodys_question(venv: Path) -> None:
    done, said, _ = run(venv, "all", "none", size_exit=0, answer="")
    assert (done, "go on?" in said) == (0, False)
