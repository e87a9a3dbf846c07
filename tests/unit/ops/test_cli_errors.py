"""What a person reads when a command ends early, and its exit code."""

from __future__ import annotations

import asyncio

import pytest

from pocket3d.bus.client import ApiRefused, JobIdTaken, NoLeader
from pocket3d.bus.port import Disconnected, UntrustedServer
from pocket3d.contracts.messages import Status
from pocket3d.ops.cli.errors import Stopped, explain, goes_on
from pocket3d.ops.exit_codes import Exit

KNOWN = Status(
    job_id="dup", feature="echo", priority="normal", tenant="t", status="succeeded", attempt=1, at="t", submitted_at="s"
)


def test_whoever_stops_a_wait_hears_that_the_job_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped) as caught, goes_on("chair-1"):
        raise asyncio.CancelledError
    assert caught.value.exit_code == Exit.INTERRUPTED
    caught.value.show()
    told = capsys.readouterr().err
    assert told == (
        "stopped waiting; job chair-1 goes on\n"
        "hint: `pocket3d watch chair-1` follows it, `pocket3d cancel chair-1` ends it\n"
    )


def test_of_several_jobs_their_number_is_told() -> None:
    with pytest.raises(Stopped, match="2 jobs go on"), goes_on("a", "b"):
        raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("error", "code", "says", "hint"),
    [
        (
            JobIdTaken(KNOWN),
            Exit.JOB_ID_TAKEN,
            "job dup is known with another request (echo: succeeded, submitted s)",
            "status",
        ),
        (ApiRefused(409, "known with another request"), Exit.JOB_ID_TAKEN, "known with another request", None),
        (
            ApiRefused(400, "unknown parameter", "steps.a.inputs.seeed"),
            Exit.USAGE,
            "steps.a.inputs.seeed: unknown",
            None,
        ),
        (ApiRefused(400, "limit 0: want 1 to 1000", "limit"), Exit.USAGE, "limit 0: want 1 to 1000", None),
        (UntrustedServer("not trusted"), Exit.NO_SERVER, "not trusted", "--tlsca FILE or NATS_CA"),
        (Disconnected("no server"), Exit.NO_SERVER, "no server", "`pocket3d up` starts one"),
        (NoLeader("p3d.api.list", 10), Exit.NO_SERVER, "is one running?", "`pocket3d up` starts"),
        (NoLeader("p3d.api.list", 10, standby=True), Exit.NO_SERVER, "takes over within 15 s: try again", None),
    ],
)
def test_an_error_has_its_exit_code_and_its_way_out(error: Exception, code: Exit, says: str, hint: str | None) -> None:
    told = explain(error)
    assert told is not None
    assert told.exit_code == code
    assert says in told.message and not told.message.startswith("limit: ")
    assert (told.hint is None) if hint is None else hint in (told.hint or "")
