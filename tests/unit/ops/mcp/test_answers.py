"""What tools answer: the wire's words, without what is null and what an agent has no use for."""

from __future__ import annotations

from pocket3d.contracts.api import FeatureAdapter, FeatureInfo, FeatureList
from pocket3d.contracts.messages import Artifact, JobError, Result
from pocket3d.ops.mcp import answers


def test_a_result_names_its_files_and_leaves_out_what_is_null_or_inside_matters() -> None:
    mesh = Artifact(name="a.glb", bucket="b", object="o", size=7, sha256="0", media_type="model/gltf-binary")
    found = Result(
        job_id="j1",
        feature="echo",
        status="succeeded",
        token="1-1",
        outputs={"note": None, "parts": [{"name": "leg", "of": None}, [None]]},
        artifacts=[mesh],
        metadata={"secret": 1},
    )
    assert answers.result(found) == {
        "job_id": "j1",
        "feature": "echo",
        "status": "succeeded",
        "attempt": 0,
        "outputs": {"parts": [{"name": "leg"}, [None]]},
        "timings": {},
        "files": [{"name": "a.glb", "size": 7, "media_type": "model/gltf-binary"}],
    }


def test_why_a_job_failed_is_told() -> None:
    error = JobError(code="invalid_input", message="too small", field="inputs.image_path")
    told = answers.result(Result(job_id="j1", feature="echo", status="failed", error=error))
    assert told["error"] == {
        "code": "invalid_input",
        "message": "too small",
        "field": "inputs.image_path",
        "attempts": [],
    }
    assert told["files"] == []


def test_features_are_told_with_those_who_serve_them_now() -> None:
    def about(name: str, *available: bool) -> FeatureInfo:
        adapters = [
            FeatureAdapter(adapter_id=f"{name}-{number}", parameters=None, available=each)
            for number, each in enumerate(available)
        ]
        return FeatureInfo(feature=name, required=["text_prompt"], adapters=adapters)

    found = FeatureList(features=[about("served", False, True), about("away", False), about("nobody")])
    assert answers.features(found) == {
        "features": [{"feature": "served", "required": ["text_prompt"], "adapters": ["served-1"]}],
        "not_served_now": ["away", "nobody"],
    }
    assert answers.feature(about("served", True))["adapters"][0]["available"] is True
