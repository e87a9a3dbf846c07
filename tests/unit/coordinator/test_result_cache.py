"""Jobs that ask for a cached result: what counts as the same, who answers, and when a job runs all the same."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from pocket3d.contracts.jobs import Job
from pocket3d.contracts.lifecycle import JobState
from pocket3d.contracts.messages import Artifact, Result
from pocket3d.coordinator.engine import effects, events
from pocket3d.coordinator.engine.content import content_of
from pocket3d.coordinator.engine.explain import explain
from pocket3d.coordinator.engine.result_cache import Made, ResultCache
from support.coordinator_desk import AgentDouble, Desk, last_status, offer

S = JobState
MESH = Artifact(
    name="a.glb", bucket="P3D_OUTPUTS", object="first/7-1/a.glb", size=4, sha256="5f" * 32,
    media_type="model/gltf-binary",
)  # fmt: skip
SEVEN = {"text_prompt": "a chair", "seed": 7}
WEEK_S = 7 * 86_400.0


def key(
    feature: str = "echo", made: dict[str, Artifact] | None = None, variant: str | None = None, **inputs: Any
) -> Any:
    content = content_of(feature, Job(inputs=inputs, variant=variant))
    return content.key(made or {}) if content is not None else None


# ---------------------------------------------------------------- what counts as the same


def test_the_order_of_inputs_nulls_and_the_name_of_the_feature_make_no_difference() -> None:
    assert key(a=1, b={"x": 1, "y": 2}) == key(b={"y": 2, "x": 1}, a=1, c=None)
    assert key("text_to_raw_mesh", text_prompt="a") == key("text_to_mesh", text_prompt="a")


@pytest.mark.parametrize(
    "other", [{"a": 2}, {"a": 1, "seed": 0}, {"a": 1, "b": ""}, {"a": "1"}, {}, {"a": True}], ids=str
)
def test_another_value_or_another_key_is_another_request(other: dict[str, Any]) -> None:
    assert key(**other) != key(a=1)


def test_another_feature_or_variant_is_another_request() -> None:
    assert len({key("echo", a=1), key("auto_rig", a=1), key(variant="512", a=1)}) == 3


def test_files_are_the_same_by_their_content_and_suffix_wherever_they_come_from() -> None:
    data = b"glTF of a chair"
    digest = hashlib.sha256(data).hexdigest()
    inline = {"inline": base64.b64encode(data).decode(), "filename": "x.GLB"}
    made = Artifact(name="parts/leg.glb", bucket="b", object="o", size=1, sha256=digest, media_type="m")
    uploaded = key(mesh_path={"artifact": f"sha256-{digest}", "filename": "chair.glb"})
    assert uploaded == key(mesh_path=inline)
    assert uploaded == key(mesh_path={"result": "chair"}, made={"inputs.mesh_path": made})
    assert uploaded != key(mesh_path={"artifact": f"sha256-{digest}", "filename": "chair.obj"})
    assert uploaded != key(mesh_path={"artifact": "sha256-" + 64 * "0", "filename": "chair.glb"})
    assert uploaded != key(other_path={"artifact": f"sha256-{digest}", "filename": "chair.glb"})


def test_an_upload_that_is_not_named_by_its_digest_is_like_nothing() -> None:
    assert key(mesh_path={"artifact": "chair"}) is None


# ---------------------------------------------------------------- what is remembered


def result(job_id: str = "first", token: str = "7-1", status: str = "succeeded") -> Result:
    return Result(job_id=job_id, feature="echo", status=status, token=token)


def made(content: bytes = b"a") -> Made:
    return Made(content, "echo", "1")


def test_the_attempt_that_won_is_remembered_and_no_other() -> None:
    cache = ResultCache(WEEK_S)
    cache.awarded("first", "7-2", made())
    cache.ended(result(token="7-1"), 0.0)
    assert cache.find(made(), 0.0) is None
    cache.awarded("first", "7-2", made())
    cache.ended(result(token="7-2", status="failed"), 0.0)
    assert cache.find(made(), 0.0) is None
    cache.awarded("first", "7-2", made())
    cache.ended(result(token="7-2"), 0.0)
    assert cache.find(made(), 0.0) == "first"


def test_results_are_remembered_for_a_while_and_so_many() -> None:
    cache = ResultCache(age_s=10.0, most=2)
    for number, name in enumerate(("a", "b", "c")):
        cache.awarded(name, "7-1", made(name.encode()))
        cache.ended(result(name), float(number))
    assert [cache.find(made(name), 5.0) for name in (b"a", b"b", b"c")] == [None, "b", "c"]
    assert cache.find(made(b"b"), 11.5) is None
    assert len(cache) == 2


def test_what_was_made_again_is_remembered_for_as_long_as_what_was_made_then() -> None:
    cache = ResultCache(WEEK_S, most=2)
    for number, name in enumerate(("a", "b", "a", "c")):
        cache.awarded(f"{name}{number}", "7-1", made(name.encode()))
        cache.ended(result(f"{name}{number}"), float(number))
    assert [cache.find(made(name), 5.0) for name in (b"a", b"b", b"c")] == ["a2", None, "c3"]


def test_an_adapter_without_a_version_is_not_remembered() -> None:
    cache = ResultCache(WEEK_S)
    unversioned = made()._replace(version="")
    cache.awarded("first", "7-1", unversioned)
    cache.ended(result(), 0.0)
    assert len(cache) == 0


# ---------------------------------------------------------------- the engine


@pytest.fixture
def agent() -> AgentDouble:
    return AgentDouble(adapters=[offer(version="1"), offer("other", version="1")])


def ended(desk: Desk, agent: AgentDouble, job_id: str = "first", **job: Any) -> Result:
    """A job that ran to its end; its result."""
    item = desk.awarded(agent, job_id, **{"inputs": SEVEN, **job})
    desk.engine.note_award(item, Job(inputs=job.get("inputs", SEVEN)))
    desk.accept(agent, item)
    desk.started(agent, item)
    agent.running.clear()
    stored = Result(
        job_id=job_id, feature="echo", status="succeeded", attempt=1, token=item.token, agent_id=agent.agent_id,
        device=item.device, adapter_id=item.adapter_id, outputs={"n": 1}, artifacts=[MESH],
    )  # fmt: skip
    desk.see(stored)
    desk.close(job_id)
    desk.published(job_id)
    return stored


def test_a_job_gets_the_result_of_the_one_that_made_the_same(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first = ended(desk, agent)
    desk.submit("second", inputs=SEVEN, cache=True, tenant="north")
    asked = desk.one(effects.ReadCached)
    assert (asked.job_id, asked.source) == ("second", "first")
    told = explain(desk.engine.core, desk.record("second"), desk.now)
    assert (told.status, told.summary) == ("queued", "looks whether job first made the same")
    desk.do(events.CachedRead("second", "first", asked.made, first))
    proposed = desk.one(effects.StoreResult).result
    assert (proposed.status, proposed.cached_from, proposed.outputs) == ("succeeded", "first", {"n": 1})
    assert (proposed.artifacts, proposed.adapter_id, proposed.tenant) == ([MESH], "other", "north")
    assert (proposed.agent_id, proposed.attempt) == (None, 0)
    desk.see(proposed, seq=101)
    desk.close("second")
    assert desk.published("second") == ["succeeded"]
    assert desk.take(effects.SendCall) == []


def test_a_job_that_does_not_ask_runs(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    ended(desk, agent)
    assert desk.awarded(agent, "second", inputs=SEVEN)


@pytest.mark.parametrize(
    "other",
    [{"inputs": {**SEVEN, "seed": 8}}, {"model_preference": "echo"}, {"feature": "text_to_mesh"}, {"variant": "512"}],
    ids=str,
)
def test_a_job_that_asks_for_something_else_runs(desk: Desk, agent: AgentDouble, other: dict[str, Any]) -> None:
    desk.hear(agent)
    assert ended(desk, agent).adapter_id == "other"
    desk.submit("second", **{"inputs": SEVEN, "cache": True, **other})
    assert desk.take(effects.ReadCached) == []
    assert not desk.engine.core.held.holds("second")


def test_another_version_of_the_adapter_makes_something_else(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    ended(desk, agent)
    agent.adapters = [offer(version="2")]
    desk.hear(agent)
    desk.submit("second", inputs=SEVEN, cache=True)
    assert desk.take(effects.ReadCached) == []


def test_commercial_use_takes_no_result_of_an_adapter_that_is_not_for_it(desk: Desk, agent: AgentDouble) -> None:
    agent.adapters = [offer(version="1", commercial="unclear")]
    desk.hear(agent)
    ended(desk, agent)
    desk.submit("second", inputs=SEVEN, cache=True, commercial_only=True)
    assert desk.take(effects.ReadCached) == []


def test_a_job_whose_cached_result_or_file_is_gone_runs(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    ended(desk, agent)
    desk.submit("second", inputs=SEVEN, cache=True)
    desk.do(events.CachedRead("second", "first", desk.one(effects.ReadCached).made, None))
    assert desk.win(agent, "second").attempt == 1
    desk.submit("third", inputs=SEVEN, cache=True)
    assert desk.take(effects.ReadCached) == [], "it is not asked for again"


def test_a_leader_that_is_in_doubt_lets_the_job_run(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first = ended(desk, agent)
    desk.submit("second", inputs=SEVEN, cache=True)
    asked = desk.one(effects.ReadCached)
    desk.sleep(60.0)
    desk.do(events.CachedRead("second", "first", asked.made, first))
    assert desk.take(effects.StoreResult) == []
    assert desk.state("second") is S.QUEUED and not desk.engine.core.held.holds("second")


def test_a_cancel_while_it_is_looked_for_ends_the_job(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first = ended(desk, agent)
    desk.submit("second", inputs=SEVEN, cache=True)
    asked = desk.one(effects.ReadCached)
    desk.do(events.CancelAsked("second", None))
    assert desk.one(effects.StoreResult).result.status == "cancelled"
    desk.do(events.CachedRead("second", "first", asked.made, first))
    assert desk.take(effects.StoreResult) == []


def test_a_message_published_again_while_it_is_looked_for_and_the_lead_is_in_doubt(
    desk: Desk, agent: AgentDouble
) -> None:
    desk.hear(agent)
    ended(desk, agent)
    desk.submit("second", seq=5, inputs=SEVEN, cache=True)
    desk.read("second", seq=6, inputs=SEVEN, cache=True)
    desk.sleep(60.0)
    desk.do(events.CancelAsked("second", None))
    desk.do(events.MessagesLooked((), (effects.JobMessage("second", 5),)))
    assert (desk.record("second").seq, desk.engine.core.held.cached("second")) == (6, "first")
    desk.do(events.LeadershipProven())
    assert desk.one(effects.StoreResult).result.status == "cancelled"


def test_a_wish_is_that_of_the_message_which_is_the_job(desk: Desk, agent: AgentDouble) -> None:
    """Two messages have one id, and the one that was read first is not the job."""
    desk.hear(agent)
    ended(desk, agent)
    desk.read("second", seq=5, inputs=SEVEN, cache=True)
    desk.read("second", seq=6, inputs=SEVEN)
    desk.do(events.QueuedConflict("second"))
    desk.do(events.LastEventRead("second", last_status("second"), job_seq=6))
    assert (desk.record("second").seq, desk.state("second")) == (6, S.QUEUED)
    assert desk.take(effects.ReadCached) == []
    assert len(desk.take(effects.SendCall)) == 1, "it wants to run"


def test_a_cached_result_answers_for_the_job_that_ran(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    first = ended(desk, agent)
    for job_id in ("second", "third"):
        desk.submit(job_id, inputs=SEVEN, cache=True)
        asked = desk.one(effects.ReadCached)
        assert asked.source == "first"
        desk.do(events.CachedRead(job_id, "first", asked.made, first))
        desk.see(desk.one(effects.StoreResult).result, seq=101)
        desk.close(job_id)


def test_the_files_of_other_jobs_are_known_before_it_is_looked(desk: Desk, agent: AgentDouble) -> None:
    desk.hear(agent)
    named = {"mesh_path": {"result": "chair"}}
    chair = Result(job_id="chair", feature="echo", status="succeeded", artifacts=[MESH])
    desk.submit("first", inputs=named)
    desk.take(effects.ReadResult)
    desk.do(events.ResultRead("chair", chair))
    item = desk.win(agent, "first")
    desk.engine.note_award(item, Job(inputs=named))
    desk.accept(agent, item)
    agent.running.clear()
    first = desk.result_of(item, agent)
    desk.see(first)
    desk.close("first")
    desk.submit("second", inputs=named, cache=True)
    assert desk.take(effects.ReadCached) == []
    desk.take(effects.ReadResult)
    desk.do(events.ResultRead("chair", chair))
    asked = desk.one(effects.ReadCached)
    desk.do(events.CachedRead("second", "first", asked.made, first))
    assert desk.one(effects.StoreResult).result.cached_from == "first"
