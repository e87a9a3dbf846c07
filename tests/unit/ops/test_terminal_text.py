"""What strangers write reaches a terminal as text, and nothing else."""

from __future__ import annotations

import pytest

from pocket3d.contracts.messages import Artifact, JobError, Progress, Result, Status
from pocket3d.ops.cli.errors import CliError
from pocket3d.ops.cli.output import print_result, print_status, print_table
from pocket3d.ops.progress_view import describe
from pocket3d.ops.terminal_text import printable

ESCAPES = "\x1b[2J\x9b1m\r\x07\u202e\ud800"


def artifact(name: str) -> Artifact:
    return Artifact(name=name, bucket="b", object="o", size=1, sha256="0", media_type="x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ein Stühlchen, 椅子", "ein Stühlchen, 椅子"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\rb\nc\td", "a\\rb\nc\td"),
        ("\ud800", "\\ud800"),
    ],
)
def test_only_what_is_printable_stays(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_result_of_a_stranger_is_printed_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    files = [artifact("mesh.glb"), artifact(f"x\nstatus: {ESCAPES}")]
    error = JobError(code="adapter_error", message=f"bad {ESCAPES}")
    print_result(Result(job_id="j", feature="echo", status="failed", error=error, artifacts=files))
    print_status(
        Status(
            job_id="j", feature="echo", status="queued", attempt=0, at="", reason=ESCAPES, priority="normal", tenant="t"
        )
    )
    print_table(("A",), [(f"a\nb{ESCAPES}",)])
    CliError(f"bad {ESCAPES}").show()
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert all(sign.isprintable() or sign == "\n" for sign in shown)
    assert "mesh.glb (1 B), 'x\\nstatus: " in shown


def test_progress_of_a_stranger_is_shown_as_text() -> None:
    progress = Progress(job_id="j", feature="echo", attempt=1, agent_id="a", message=ESCAPES, fraction=0.5, at="")
    assert describe(progress).isprintable()
