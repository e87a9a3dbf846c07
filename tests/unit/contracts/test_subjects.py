"""Every subject is built and parsed in one place."""

from __future__ import annotations

import pytest

from pocket3d.contracts.subjects import (
    ADAPTER_ID_PATTERN,
    AGENT_ID_PATTERN,
    JOB_ID_PATTERN,
    JobSubject,
    StorySubject,
    Subjects,
)

P3D = Subjects()


def test_the_subjects_of_the_wire() -> None:
    assert P3D.job("high", "echo") == "p3d.jobs.high.echo"
    assert P3D.all_jobs() == ["p3d.jobs.high.*", "p3d.jobs.normal.*", "p3d.jobs.low.*"]
    assert P3D.event("echo", "j1", "queued") == "p3d.events.echo.j1.queued"
    assert P3D.events_of("j1") == "p3d.events.*.j1.*"
    assert P3D.all_events() == "p3d.events.*.*.*"
    assert P3D.leader_record() == "p3d.events.leader"
    assert P3D.progress("echo", "j1") == "p3d.progress.echo.j1"
    assert P3D.progress_of("j1") == "p3d.progress.*.j1"
    assert P3D.all_progress() == "p3d.progress.*.*"
    assert P3D.result("echo", "j1") == "p3d.results.echo.j1"
    assert P3D.proposal("echo", "j1") == "p3d.propose.echo.j1"
    assert P3D.all_proposals() == "p3d.propose.*.*"
    assert P3D.result_of("j1") == "p3d.results.*.j1"
    assert P3D.results_of_feature("echo") == "p3d.results.echo.*"
    assert P3D.all_results() == "p3d.results.*.*"
    assert P3D.dead("echo", "j1") == "p3d.dead.echo.j1"
    assert P3D.all_dead() == "p3d.dead.*.*"
    assert P3D.advert("a1") == "p3d.agents.a1.advert"
    assert P3D.all_adverts() == "p3d.agents.*.advert"
    assert P3D.command("a1") == "p3d.agents.a1.cmd"
    assert P3D.outcome("a1") == "p3d.agents.a1.outcome"
    assert P3D.all_outcomes() == "p3d.agents.*.outcome"
    assert P3D.agent_control("a1", "drain") == "p3d.agents.a1.ctl.drain"
    assert P3D.bids("c1") == "p3d.bids.c1"
    assert P3D.api("submit") == "p3d.api.submit"


def test_every_name_follows_the_namespace() -> None:
    mine = Subjects("farm_2")
    assert mine.job("low", "echo") == "farm_2.jobs.low.echo"
    names = {k: v for k, v in vars(mine).items() if k.endswith(("_stream", "_bucket"))}
    assert len(names) == 11
    assert all(name.startswith("FARM_2_") for name in names.values())
    assert (mine.api_service, mine.agent_service) == ("farm_2-api", "farm_2-agent")
    assert (P3D.jobs_stream, P3D.status_bucket, P3D.outputs_bucket) == ("P3D_JOBS", "P3D_STATUS", "P3D_OUTPUTS")


@pytest.mark.parametrize("namespace", ["", "P3D", "a.b", "a*", "1a", "a" * 33, "a-b", "a b"])
def test_a_namespace_is_one_plain_token(namespace: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        Subjects(namespace)


def test_what_is_built_is_parsed() -> None:
    assert P3D.parse_job(P3D.job("high", "echo")) == JobSubject("high", "echo")
    assert P3D.parse_story(P3D.event("echo", "j", "queued")) == StorySubject("echo", "j", "queued")
    for subject in (P3D.progress("echo", "j"), P3D.result("echo", "j"), P3D.dead("echo", "j")):
        assert P3D.parse_story(subject) == StorySubject("echo", "j")
    for subject in (P3D.advert("a"), P3D.command("a"), P3D.outcome("a"), P3D.agent_control("a", "drain")):
        assert P3D.agent_of(subject) == "a"


@pytest.mark.parametrize(
    "subject", ["", "p3d", "p3d.jobs.high", "p3d.jobs.high.a.b", "x.jobs.high.echo", "p3d.events.high.echo"]
)
def test_another_subject_is_not_a_job(subject: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        P3D.parse_job(subject)


@pytest.mark.parametrize("subject", ["", "p3d.events.leader", "p3d.results.a.b.c", "x.results.a.b", "p3d.jobs.high.a"])
def test_another_subject_is_no_story(subject: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        P3D.parse_story(subject)


@pytest.mark.parametrize("subject", ["", "p3d.agents.a", "x.agents.a.cmd", "p3d.bids.a.b"])
def test_another_subject_is_no_agents(subject: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        P3D.agent_of(subject)


def test_ids_are_one_subject_token() -> None:
    for pattern in (JOB_ID_PATTERN, AGENT_ID_PATTERN):
        assert pattern.fullmatch("gpu-07_A")
        for bad in ("", "a.b", "a b", "*", ">", "a\n", "x" * 65):
            assert not pattern.fullmatch(bad)
    assert ADAPTER_ID_PATTERN.fullmatch("trellis-text-to-mesh.v2_1")
    for bad in ("", "-a", ".a", "A", "a/b", "x" * 65):
        assert not ADAPTER_ID_PATTERN.fullmatch(bad)
