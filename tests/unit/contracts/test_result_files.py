"""A file that another job makes, among the inputs: how it is written, and which file it means."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import FileRef, as_uploads, file_refs, result_refs
from pocket3d.contracts.jobs import Job, Rejection, admit
from pocket3d.contracts.messages import Artifact, Result
from pocket3d.contracts.result_files import choose, fits
from pocket3d.contracts.schema_export import schema_of


def artifact(name: str, media_type: str) -> Artifact:
    return Artifact(
        name=name, bucket="P3D_OUTPUTS", object=f"chair/1-1/{name}", size=4, sha256="00", media_type=media_type
    )


GLB = artifact("chair.glb", "model/gltf-binary")
OBJ = artifact("chair.obj", "model/obj")
MTL = artifact("chair.mtl", "model/mtl")
PICTURE = artifact("thumbnail.png", "image/png")
FBX = artifact("chair.fbx", "application/octet-stream")
NOTES = artifact("info.json", "application/json")


def made(*artifacts: Artifact) -> Result:
    return Result(job_id="chair", feature="text_to_mesh", status="succeeded", artifacts=list(artifacts))


def ref(key: str, name: str | None = None) -> FileRef:
    return FileRef(key, None, None, None, None, "chair", name)


def test_of_many_files_twenty_are_named() -> None:
    names = [f"{number}.glb" for number in range(22)]
    for count, more in ((20, ""), (22, " and 2 more")):
        found = choose(ref("mesh_path"), made(*(artifact(name, "model/gltf-binary") for name in names[:count])))
        assert isinstance(found, Rejection)
        assert found.message.endswith(f": {', '.join(names[:20])}{more}")


def asked(inputs: dict[str, Any]) -> tuple[str, str] | None:
    """Field and code of the rejection of a job with these inputs."""
    found = admit("echo", msgspec.json.encode({"job_id": "rigged", "inputs": inputs}), None, "s1-1").rejection
    return None if found is None else (found.field, found.code.value)


def test_a_file_of_another_job_is_found_among_the_inputs() -> None:
    inputs = {
        "mesh_path": {"result": "chair", "name": "parts/leg.glb"},
        "image_paths": [{"artifact": "sha256-00"}, {"result": "photo"}],
        "about": {"result": "no file"},
    }
    assert [(each.field, each.result, each.name) for each in result_refs(inputs)] == [
        ("inputs.mesh_path", "chair", "parts/leg.glb"),
        ("inputs.image_paths[1]", "photo", None),
    ]
    assert len(list(file_refs(inputs))) == 3
    assert asked(inputs) is None


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"result": "a b"}, "inputs.mesh_path.result"),
        ({"result": 7}, "inputs.mesh_path.result"),
        ({"result": "chair", "name": "../x"}, "inputs.mesh_path.name"),
        ({"result": "chair", "name": ""}, "inputs.mesh_path.name"),
        ({"result": "chair", "filename": "x.glb"}, "inputs.mesh_path.filename"),
        ({"result": "chair", "artifact": "sha256-00"}, "inputs.mesh_path"),
        ({"artifact": "sha256-00", "name": "x.glb"}, "inputs.mesh_path.name"),
        ({"result": "chair", "bucket": "P3D_OUTPUTS"}, "inputs.mesh_path.bucket"),
        ({"result": "rigged"}, "inputs.mesh_path.result"),
    ],
)
def test_a_wrong_reference_is_named(value: dict[str, Any], field: str) -> None:
    assert asked({"mesh_path": value}) == (field, "invalid_input")


def test_the_schema_takes_a_reference_and_nothing_beside_it() -> None:
    validator = Draft202012Validator(schema_of("job"))
    assert validator.is_valid({"inputs": {"mesh_path": {"result": "chair", "name": "a.glb"}}})
    assert not validator.is_valid({"inputs": {"mesh_path": {"result": "chair", "object": "x"}}})


def test_adapters_are_asked_as_of_an_upload() -> None:
    inputs = {"mesh_path": {"result": "chair", "name": "parts/leg.glb"}, "image_paths": [{"result": "photo"}], "n": 1}
    shown = as_uploads(inputs)
    assert shown["mesh_path"].keys() == {"artifact", "filename"}
    assert shown["mesh_path"]["filename"] == "leg.glb"
    assert shown["image_paths"][0].keys() == {"artifact"}
    assert inputs["mesh_path"] == {"result": "chair", "name": "parts/leg.glb"}
    plain = {"mesh_path": {"artifact": "sha256-00"}}
    assert as_uploads(plain) is plain


@pytest.mark.parametrize(
    ("key", "artifact", "fit"),
    [
        ("mesh_path", GLB, True),
        ("mesh_path", FBX, True),
        ("mesh_path", MTL, False),
        ("mesh_path", PICTURE, False),
        ("image_path", PICTURE, True),
        ("image_paths", GLB, False),
        ("mask_path", PICTURE, True),
        ("splat_path", artifact("a.ply", "model/ply"), True),
        ("splat_path", artifact("a.splat", "application/octet-stream"), True),
        ("pose_path", NOTES, True),
    ],
)
def test_what_fits_a_key(key: str, artifact: Artifact, fit: bool) -> None:
    assert fits(key, artifact) is fit


def test_the_only_file_that_fits_needs_no_name() -> None:
    assert choose(ref("mesh_path"), made(PICTURE, OBJ, MTL)) == OBJ
    assert choose(ref("image_path"), made(PICTURE, OBJ)) == PICTURE


def test_the_named_file_is_meant_whatever_it_is() -> None:
    assert choose(ref("mesh_path", "thumbnail.png"), made(PICTURE, GLB)) == PICTURE


@pytest.mark.parametrize(
    ("wanted", "artifacts", "code", "words"),
    [
        (ref("mesh_path"), (GLB, OBJ), FailureCode.INVALID_INPUT, ("chair.glb, chair.obj", "name")),
        (ref("mesh_path"), (PICTURE,), FailureCode.INVALID_INPUT, ("mesh_path", "thumbnail.png")),
        (ref("mesh_path"), (), FailureCode.INVALID_INPUT, ("no file",)),
        (ref("mesh_path", "gone.glb"), (GLB,), FailureCode.ARTIFACT_MISSING, ("gone.glb", "chair.glb")),
    ],
)
def test_no_file_or_several_are_a_rejection_with_the_choices(
    wanted: FileRef, artifacts: tuple[Artifact, ...], code: FailureCode, words: tuple[str, ...]
) -> None:
    found = choose(wanted, made(*artifacts))
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (code, "inputs.mesh_path.name")
    assert all(word in found.message for word in words)


def test_a_job_that_asks_for_no_cache_is_encoded_as_ever() -> None:
    assert b"cache" not in msgspec.json.encode(Job(inputs={}, cache=False))
    assert b'"cache":true' in msgspec.json.encode(Job(inputs={}, cache=True))
