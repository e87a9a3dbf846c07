"""Chains and groups as they are asked for: what is refused, with the step at fault, and which jobs they become."""

from __future__ import annotations

from typing import Any

import pytest

from pocket3d.contracts.chains import (
    MAX_GROUP_JOBS,
    MAX_STEPS,
    ChainRequest,
    GroupRequest,
    check,
    job_id_of,
    job_of,
    jobs_of,
    plan,
    with_id,
)
from pocket3d.contracts.codec import WireError, convert, decode, encode
from pocket3d.contracts.subjects import Subjects

MESH: dict[str, Any] = {"name": "mesh", "feature": "text_to_mesh", "inputs": {"text_prompt": "a dog"}}
RIG: dict[str, Any] = {"name": "rig", "feature": "auto_rig", "inputs": {"mesh_path": {"step": "mesh"}}}
ECHO: dict[str, Any] = {"feature": "echo", "inputs": {}}


def chain(*steps: dict[str, Any], **more: Any) -> ChainRequest:
    return convert(ChainRequest, {"chain_id": "dog", "steps": list(steps), **more})


def rig_of(mesh: dict[str, Any]) -> dict[str, Any]:
    return {**RIG, "inputs": {"mesh_path": mesh}}


def group(*jobs: dict[str, Any], **more: Any) -> GroupRequest:
    return convert(GroupRequest, {"group_id": "lot", "jobs": list(jobs), **more})


def test_a_chain_becomes_jobs_that_name_one_another() -> None:
    request = chain(MESH, RIG, tenant="north", priority="high", retry={"max_attempts": 5})
    assert check(request) is None
    mesh, rig = jobs_of(request)
    assert (mesh.job_id, rig.job_id) == ("dog-mesh", "dog-rig")
    assert rig.inputs == {"mesh_path": {"result": "dog-mesh"}}
    assert {(job.tenant, job.priority, job.retry.max_attempts) for job in (mesh, rig)} == {("north", "high", 5)}
    assert [step.needs for step in plan(request)] == [(), (0,)]


def test_a_retried_step_names_the_jobs_that_stand_now() -> None:
    request = chain(MESH, {**RIG, "inputs": {"mesh_path": {"step": "mesh", "name": "dog.glb"}}})
    job = job_of(request, 1, job_id_of("dog-rig", 2), {"mesh": "dog-mesh-r3"})
    assert job.job_id == "dog-rig-r2"
    assert job.inputs == {"mesh_path": {"result": "dog-mesh-r3", "name": "dog.glb"}}


def test_references_stand_in_lists_too_and_only_where_files_do() -> None:
    both = {"image_paths": [{"artifact": "sha256-00"}, {"step": "mesh"}], "about": {"step": "nobody"}}
    request = chain(MESH, {"name": "b", "feature": "echo", "inputs": both})
    assert check(request) is None
    inputs = jobs_of(request)[1].inputs
    assert inputs["image_paths"] == [{"artifact": "sha256-00"}, {"result": "dog-mesh"}]
    assert inputs["about"] == {"step": "nobody"}, "a file is wanted under _path and _paths alone"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (chain(MESH, chain_id="a.b"), "chain_id"),
        (chain(MESH, chain_id="x" * 41), "chain_id"),
        (chain(MESH, v=2), "v"),
        (chain(MESH, priority="urgent"), "priority"),
        (chain(MESH, tenant="a b"), "steps.mesh.tenant"),
        (chain(), "steps"),
        (chain(*({**ECHO, "name": f"s{n}"} for n in range(MAX_STEPS + 1))), "steps"),
        (chain({**MESH, "name": "a-b"}), "steps[0].name"),
        (chain({**MESH, "name": "r2"}), "steps[0].name"),
        (chain({**MESH, "name": "x" * 21}), "steps[0].name"),
        (chain(MESH, MESH), "steps.mesh.name"),
        (chain(RIG), "steps.rig.inputs.mesh_path.step"),
        (chain({**RIG, "inputs": {"mesh_path": {"step": "rig"}}}), "steps.rig.inputs"),
        (chain(MESH, rig_of({"step": "mesh", "file": "x"})), "steps.rig.inputs.mesh_path.file"),
        (chain(MESH, rig_of({"step": 1})), "steps.rig.inputs.mesh_path.step"),
        (chain(MESH, rig_of({"step": "mesh", "name": ".."})), "steps.rig.inputs.mesh_path.name"),
        (chain({**MESH, "inputs": {}}), "steps.mesh.inputs.text_prompt"),
        (chain({**MESH, "feature": "A"}), "steps.mesh.feature"),
        (chain({**MESH, "vram_mb": 1, "variant": "big"}), "steps.mesh.variant"),
        (group(), "jobs"),
        (group(*([ECHO] * (MAX_GROUP_JOBS + 1))), "jobs"),
        (group(ECHO, {**ECHO, "job_id": "lot-1"}), "jobs[1].job_id"),
        (group(ECHO, {**ECHO, "job_id": "a b"}), "jobs[1].job_id"),
        (group({**ECHO, "tenant": "south"}), "jobs[0].tenant"),
        (group(ECHO, {**ECHO, "feature": "text_to_mesh"}), "jobs[1].inputs.text_prompt"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_the_step_at_fault(request_: ChainRequest | GroupRequest, field: str) -> None:
    wrong = check(request_)
    assert wrong is not None
    assert wrong.field == field


def test_a_circle_is_told_whole() -> None:
    ring = [
        {"name": name, "feature": "echo", "inputs": {"mesh_path": {"step": source}}}
        for name, source in (("a", "c"), ("b", "a"), ("c", "b"))
    ]
    wrong = check(chain(MESH, *ring))
    assert wrong is not None
    assert wrong.message == "the steps wait for one another: a <- c <- b <- a"


def test_an_unknown_field_of_a_step_is_refused() -> None:
    with pytest.raises(WireError, match="surprise"):
        chain({**MESH, "surprise": 1})


def test_two_chains_never_share_the_id_of_a_job() -> None:
    # "a-b" with the step "c", and "a" with a step that cannot be called "b-c"; nor can one be called like a round.
    names = {
        (f"{chain_id}", step, no): job_id_of(f"{chain_id}-{step}", no)
        for chain_id in ("a", "a-b", "a-b-r2", "a-r2")
        for step in ("b", "c", "b_c")
        for no in (1, 2)
    }
    assert len(set(names.values())) == len(names)


def test_jobs_of_a_group_are_counted_or_keep_their_ids() -> None:
    request = group(ECHO, {**ECHO, "job_id": "mine", "priority": "low"}, tenant="north")
    assert check(request) is None
    assert [(job.job_id, job.priority, job.tenant) for job in jobs_of(request)] == [
        ("lot-1", "normal", "north"),
        ("mine", "low", "north"),
    ]


def test_one_without_an_id_gets_one_and_comes_back_as_it_was_stored() -> None:
    bare = convert(ChainRequest, {"steps": [MESH]})
    stored = with_id(bare, "made-up")
    assert isinstance(stored, ChainRequest)
    assert (stored.chain_id, decode(ChainRequest, encode(stored))) == ("made-up", stored)
    assert with_id(stored, "other") == stored


def test_subjects_are_read_back() -> None:
    subjects = Subjects("p3d")
    assert subjects.chain_event("group", "lot", "submitted") == "p3d.groups.lot.submitted"
    assert subjects.parse_chain("p3d.chains.dog.step") == ("chain", "dog", "step")
    with pytest.raises(ValueError, match="not an event of a chain"):
        subjects.parse_chain("p3d.events.echo.dog.queued")
