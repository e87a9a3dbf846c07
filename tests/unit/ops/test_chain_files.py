"""Chains in YAML: what is read, what is refused, and what the command line fills in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pocket3d.bus.client.chain_submission import build_chain
from pocket3d.bus.client.errors import JobRefused
from pocket3d.contracts.features import is_built_in
from pocket3d.ops import ready_chains
from pocket3d.ops.chain_files import ChainFile, ChainFileError, read_chain_file, steps_of, words_of
from pocket3d.ops.inputs import InputError
from support.pages import ROOT, blocks

TEXT = """
description: From a prompt to a rigged mesh.
priority: low
inputs:
  prompt: {description: what it is}
  faces: 4000
  picture_path: {default: dog.png}
steps:
  - {name: mesh, feature: text_to_mesh, inputs: {text_prompt: {input: prompt}}}
  - {name: paint, feature: image_to_texture, inputs: {mesh_path: {step: mesh}, image_path: {input: picture_path}}}
  - name: parts
    feature: echo
    inputs: {mesh_paths: [{step: mesh}, {step: paint, name: dog.glb}, more.glb], target_faces: {input: faces}}
"""


def chain() -> ChainFile:
    return read_chain_file(TEXT, "dog.yaml")


def filled(*words: str) -> list[dict[str, Any]]:
    return steps_of(chain(), words_of(chain(), words), Path("/there"))


def test_inputs_are_filled_in_and_files_lie_beside_the_chain() -> None:
    steps = filled("prompt=a dog")
    assert steps[0]["inputs"] == {"text_prompt": "a dog"}
    assert steps[1]["inputs"]["image_path"] == Path("/there/dog.png")
    assert steps[2]["inputs"]["target_faces"] == 4000
    assert steps[2]["inputs"]["mesh_paths"] == [
        {"step": "mesh"},
        {"step": "paint", "name": "dog.glb"},
        Path("/there/more.glb"),
    ]
    assert chain().more == {"priority": "low"}


def test_what_is_given_is_typed_as_its_default_and_lies_where_we_are() -> None:
    steps = filled("prompt=7", "faces=900", "picture_path=cat.png")
    assert steps[0]["inputs"] == {"text_prompt": "7"}
    assert steps[2]["inputs"]["target_faces"] == 900
    assert steps[1]["inputs"]["image_path"] == Path("cat.png")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), r"this chain needs prompt=... \(what it is\)"),
        (("promt=a dog",), "did you mean 'prompt'"),
        (("prompt=a dog", "faces=many"), "faces='many': want integer"),
    ],
)
def test_words_that_do_not_fit_are_told(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told):
        filled(*words)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps: [", "is not YAML"),
        ("- 1", "want a mapping with a list of `steps`"),
        ("steps: []", "want a mapping with a list of `steps`"),
        ("steps: [{name: a, feature: echo}]\nstep: 1", "unknown field 'step'"),
        ("inputs: 3\nsteps: [{name: a, feature: echo}]", "inputs: want a mapping"),
        ("steps: [a]", r"steps\[0\]: want a mapping"),
        ("steps: [{name: a}]", r"steps\[0\].feature: .*missing"),
        ("steps: [{name: a, feature: echo, input: 1}]", r"steps\[0\].input: .*unknown field"),
        ("steps: [{name: a, feature: echo, inputs: {n: {input: m}}}]", "there is no input 'm'"),
    ],
)
def test_what_is_no_chain_is_told(text: str, told: str) -> None:
    with pytest.raises(ChainFileError, match=told):
        read_chain_file(text, "dog.yaml")


@pytest.mark.parametrize("name", [*ready_chains.NAMES, "examples/chain.yaml"])
def test_the_chains_that_come_with_the_system_would_be_taken(name: str) -> None:
    text = ready_chains.text_of(name) if name in ready_chains.NAMES else (ROOT / name).read_text(encoding="utf-8")
    found = read_chain_file(text, name)
    assert found.description
    values = {each.name: {"artifact": "sha256-00"} if each.name.endswith("_path") else "x" for each in found.inputs}
    steps = steps_of(found, values, Path())
    request = build_chain(steps, {"chain_id": "ready", **found.more})
    assert all(is_built_in(step.feature) for step in request.steps)
    assert {step.name for step in request.steps} == {step["name"] for step in steps}


def test_the_chain_on_the_page_is_as_the_page_says() -> None:
    (block,) = [each for each in blocks(ROOT / "docs" / "chains.md") if each.info == "yaml"]
    found = read_chain_file(block.text, block.place)
    assert [(each.name, each.required) for each in found.inputs] == [("prompt", True), ("faces", False)]
    assert len(steps_of(found, {"prompt": "a stool"}, Path())) == 3


def test_every_ready_chain_is_in_the_folder_and_none_else() -> None:
    folder = Path(ready_chains.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(ready_chains.NAMES)
    with pytest.raises(KeyError):
        ready_chains.text_of("../chain_files")


def test_a_step_that_is_wrong_is_named_before_anything_is_sent() -> None:
    with pytest.raises(JobRefused) as wrong:
        build_chain([{"name": "a", "feature": "echo", "inputs": {"n": float("nan")}}], {"chain_id": "x"})
    assert wrong.value.field == "steps.a.inputs.n"
