"""The topology as data, and what `ensure` makes of it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest

from pocket3d.bus.jetstream.widening import widen
from pocket3d.bus.port import Bus, Refused
from pocket3d.bus.topology import (
    ConsumerSpec,
    StreamSpec,
    Topology,
    TopologySettings,
    build,
    coordinator_jobs,
    coordinator_results,
)
from pocket3d.contracts.subjects import Subjects

P3D = Subjects()


def stream(name: str) -> StreamSpec:
    return next(spec for spec in build(P3D).streams if spec.name == name)


def test_names_are_the_wires() -> None:
    topology = build(P3D)
    assert [spec.name for spec in topology.streams] == [
        "P3D_JOBS",
        "P3D_EVENTS",
        "P3D_RESULTS",
        "P3D_DEAD",
        "P3D_CHAINS",
        "P3D_PROGRESS",
        "KV_P3D_STATUS",
        "KV_P3D_AGENTS",
        "KV_P3D_LEADER",
        "OBJ_P3D_INPUTS",
        "OBJ_P3D_OUTPUTS",
    ]
    assert [spec.consumer for spec in topology.consumers] == [
        *(coordinator_jobs(P3D, priority) for priority in ("high", "normal", "low")),
        coordinator_results(P3D),
    ]
    specs: list[Any] = [*topology.streams, *topology.consumers]
    assert all(spec.description and spec.metadata for spec in specs)


def test_what_the_design_asks_of_each_stream() -> None:
    jobs = stream("P3D_JOBS").config()
    assert jobs["subjects"] == ["p3d.jobs.high.*", "p3d.jobs.normal.*", "p3d.jobs.low.*"]
    assert (jobs["retention"], jobs["storage"], jobs["discard"]) == ("workqueue", "file", "new")
    events, results = stream("P3D_EVENTS"), stream("P3D_RESULTS")
    assert events.subjects == ("p3d.events.*.*.*", "p3d.events.leader")
    assert events.allow_atomic
    assert events.max_age_s > results.max_age_s
    assert stream("OBJ_P3D_OUTPUTS").max_age_s > results.max_age_s
    progress = stream("P3D_PROGRESS")
    assert (progress.storage, progress.max_msgs_per_subject, progress.max_age_s) == ("file", 1, 3600)
    assert "subjects" not in stream("KV_P3D_STATUS").config()
    for consumer in build(P3D).consumers:
        assert consumer.max_ack_pending == -1


def test_every_stream_bucket_and_store_can_be_read_by_sequence_and_by_subject() -> None:
    """Also where its consumers are protected, and by any replica: all looking up is by that."""
    for spec in build(P3D).streams:
        assert spec.allow_direct, spec.name
        assert spec.config()["allow_direct"] is True, spec.name


@pytest.mark.parametrize("replicas", [1, 3, 5])
def test_settings_take_as_many_replicas_as_a_server_does_and_short_times(replicas: int) -> None:
    settings = TopologySettings(replicas=replicas, leader_lease_s=0.5)
    assert all(spec.replicas == replicas for spec in build(P3D, settings).streams)


@pytest.mark.parametrize(
    "wrong",
    [
        {"replicas": 0}, {"replicas": 2}, {"replicas": 4}, {"leader_lease_s": 0}, {"results_max_age_s": -1},
        {"jobs_ack_wait_s": 0}, {"story_margin_s": 0}, {"inputs_max_age_s": 0},
    ],
)  # fmt: skip
def test_settings_refuse_nonsense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TopologySettings(**wrong)


def test_widening_is_pure() -> None:
    have = stream("P3D_RESULTS").config()
    assert widen("it", {**have, "metadata": {**have["metadata"], "_nats.ver": "2"}}, have) == (None, [], [], [])
    wider = {**have, "max_age": have["max_age"] * 2, "subjects": [*have["subjects"], "more.*"], "description": "new"}
    config, left, _, _ = widen("it", {**have, "compression": "s2"}, wider)
    assert config == {**wider, "compression": "s2"}
    assert left == []


@pytest.mark.parametrize(
    ("key", "have", "want", "becomes"),
    [
        ("max_msgs", 5, 10, "changed"),
        ("max_msgs", 5, -1, "changed"),
        ("max_msgs", 10, 5, "kept"),
        ("max_msgs", -1, 5, "kept"),
        ("max_age", 0, 5, "kept"),
        ("num_replicas", 1, 3, "changed"),
        ("num_replicas", 3, 1, "kept"),
        ("storage", "file", "memory", "left"),
        ("retention", "limits", "workqueue", "left"),
        ("allow_atomic", None, True, "changed"),
        ("allow_direct", True, False, "left"),
        ("ack_wait", 5, 1, "changed"),
        ("max_ack_pending", 1000, -1, "changed"),
        ("filter_subject", "a", "b", "left"),
    ],
)
def test_what_may_be_widened(key: str, have: Any, want: Any, becomes: str) -> None:
    widened = widen("it", {key: have}, {key: want})
    assert widened.config == ({key: want} if becomes == "changed" else None)
    words = {"changed": widened.changes, "kept": widened.kept, "left": widened.left}
    assert [kind for kind, said in words.items() if said] == [becomes]
    assert key in words[becomes][0]


def _source(name: str, dest: str | None = "kv.>") -> dict[str, Any]:
    return {"name": name} if dest is None else {"name": name, "subject_transforms": [{"src": "a.>", "dest": dest}]}


@pytest.mark.parametrize(
    ("have", "same"),
    [
        ([_source("A"), {**_source("B"), "filter_subject": ""}], True),
        ([_source("B"), _source("A")], True),
        ([_source("A")], False),
        ([_source("A"), _source("B"), _source("C")], False),
        ([_source("A"), _source("C")], False),
        ([_source("A"), _source("B", "other.>")], False),
        ([_source("A"), _source("B", None)], False),
        ([], False),
        (None, False),
    ],
)
def test_a_stream_that_copies_from_elsewhere_is_left_as_it_is_and_named(have: Any, same: bool) -> None:
    """The server takes no other source for a stream that is there."""
    want = {"sources": [_source("A"), _source("B")]}
    widened = widen("it", {"sources": have}, want)
    assert widened == (None, [] if same else ["it copies from other sources than wanted"], [], [])


def test_subjects_are_added_and_none_is_taken_away() -> None:
    widened = widen("it", {"subjects": ["a", "mine", "b"]}, {"subjects": ["a", "c"]})
    assert widened == ({"subjects": ["a", "mine", "b", "c"]}, ["it also takes mine, b"], [], ["subjects lack some"])


def test_times_and_sizes_are_said_as_people_say_them() -> None:
    have = {"max_age": 90 * 86_400 * 10**9, "max_bytes": 1 << 30, "duplicate_window": 60 * 10**9}
    want = {"max_age": 28 * 86_400 * 10**9, "max_bytes": 1 << 20, "duplicate_window": 90 * 10**9}
    widened = widen("it", have, want)
    assert widened.kept == [
        "it: max_age is 90 d, wanted 28 d; wider is kept on purpose",
        "it: max_bytes is 1024 MiB, wanted 1 MiB; wider is kept on purpose",
    ]
    assert widened.changes == ["duplicate_window is 1 min, wanted 90 s"]
    assert widen("it", {"max_age": 0}, {"max_age": 36 * 3600 * 10**9}).kept == [
        "it: max_age is without limit, wanted 36 h; wider is kept on purpose"
    ]


def test_bounds_of_monitoring_are_set_once_and_then_the_operators() -> None:
    """`nats server check stream` reads them; the other keys of metadata are ours."""
    replicated = {spec.name: spec for spec in build(P3D, TopologySettings(replicas=3)).streams}["P3D_JOBS"].config()
    assert replicated["metadata"] == {
        "pocket3d.namespace": "p3d",
        "io.nats.monitor.enabled": "true",
        "io.nats.monitor.peer-expect": "3",
        "io.nats.monitor.peer-lag-critical": "1000",
        "io.nats.monitor.peer-seen-critical": "10s",
    }
    theirs = {"io.nats.monitor.peer-lag-critical": "5", "team": "graphics", "pocket3d.namespace": "old"}
    config = widen("it", {**replicated, "metadata": theirs}, replicated).config
    assert config is not None
    assert config["metadata"] == {
        **replicated["metadata"],
        "io.nats.monitor.peer-lag-critical": "5",
        "team": "graphics",
    }
    assert "io.nats.monitor.enabled" not in stream("P3D_JOBS").metadata
    assert stream("KV_P3D_STATUS").metadata["io.nats.monitor.min-sources"] == "1"
    assert all(c.metadata["io.nats.monitor.unprocessed-critical"] == "1000" for c in build(P3D).consumers)


def test_each_stream_can_have_a_limit_of_bytes() -> None:
    """Managed accounts refuse streams without one (10113)."""
    names = [name for name in TopologySettings.__dataclass_fields__ if name.endswith("_max_bytes")]
    settings: dict[str, Any] = {name: 10_000_000 + n for n, name in enumerate(names)}
    limited = build(P3D, TopologySettings(**settings))
    assert sorted(spec.max_bytes for spec in limited.streams) == [10_000_000 + n for n in range(11)]


def test_what_results_refer_to_is_kept_as_long() -> None:
    names = {spec.name for spec in build(P3D).streams if spec.referred_to_by == "P3D_RESULTS"}
    assert names == {"P3D_EVENTS", "OBJ_P3D_OUTPUTS"}


@pytest.mark.parametrize("storage", ["memory", "file"])
async def test_progress_of_an_earlier_version_is_moved_out_of_memory(storage: Any, bus: Bus, s: Subjects) -> None:
    """A stream in memory has no snapshot: `nats account restore` stopped there, before the results."""
    subjects = Subjects(f"{s.namespace}m")
    earlier = build(subjects, TopologySettings(progress_storage="memory"))
    assert await bus.ensure(earlier) == []
    await bus.append(subjects.progress("echo", "a"), b"half")
    assert await bus.ensure(build(subjects, TopologySettings(progress_storage=storage))) == []
    assert await bus.message_count(subjects.progress_stream) == (1 if storage == "memory" else 0)
    # And it is not made anew at each start.
    await bus.append(subjects.progress("echo", "a"), b"half")
    assert await bus.ensure(build(subjects, TopologySettings(progress_storage=storage))) == []
    assert await bus.message_count(subjects.progress_stream) == 1


@pytest.mark.parametrize("place", ["jetstream"], indirect=True)
async def test_streams_can_be_browsed_without_a_consumer(place: Any, bus: Bus, s: Subjects) -> None:
    """What `nats stream view` and `nats sub --direct` send; a work queue takes no second consumer."""
    await bus.append(s.job("normal", "echo"), b"a job")
    await bus.append(s.proposal("echo", "a"), b"a result")
    await bus.append(s.event("echo", "a", "queued"), b"an event")
    await bus.append(s.dead("echo", "a"), b"a letter")
    for name in (s.jobs_stream, s.results_stream, s.events_stream, s.dead_stream):
        answer = await bus.request(f"$JS.API.DIRECT.GET.{name}", b'{"seq":1,"next_by_subj":">"}', timeout=5)
        assert answer.headers["Nats-Sequence"] == "1"
        assert answer.data.startswith(b"a")


async def test_ensure_twice_says_nothing(bus: Bus, s: Subjects) -> None:
    topology = build(Subjects(f"{s.namespace}again"))
    assert await bus.ensure(topology) == []
    assert await bus.ensure(topology) == []


async def test_a_jobs_stream_that_is_made_again_counts_on(place: Any, bus: Bus, s: Subjects) -> None:
    """Events, ids and acks name its messages by their sequence."""
    subjects = Subjects(f"{s.namespace}gone")
    topology = build(subjects)
    assert await bus.ensure(topology) == []
    former = await bus.append(subjects.job("normal", "echo"), b"a job")
    assert former == 1, "a first one begins as people expect"
    if place.kind == "memory":
        place.server.remove_stream(subjects.jobs_stream)
    else:
        await bus.request(f"$JS.API.STREAM.DELETE.{subjects.jobs_stream}", b"", timeout=5)
    for _ in range(2):
        assert await bus.ensure(topology) == []
    again = await bus.append(subjects.job("normal", "echo"), b"another")
    assert again > 1_000_000_000
    assert await bus.append(subjects.job("normal", "echo"), b"the next") == again + 1
    assert await bus.get(subjects.jobs_stream, former) is None


async def test_ensure_widens_and_refuses_to_shrink(bus: Bus, s: Subjects) -> None:
    name = f"{s.namespace.upper()}_EXTRA"
    spec = StreamSpec(name, (f"{s.namespace}.extra.a",), "extra", max_msgs=100, metadata={"who": "test"})
    consumer = ConsumerSpec(name, "reader", f"{s.namespace}.extra.*", "reads", ack_wait_s=5)
    assert await bus.ensure(Topology((spec,), (consumer,))) == []
    await bus.append(f"{s.namespace}.extra.a", b"kept")

    wider = dataclasses.replace(
        spec, subjects=(f"{s.namespace}.extra.a", f"{s.namespace}.extra.b"), max_msgs=200, description="more"
    )
    slower = dataclasses.replace(consumer, ack_wait_s=50)
    assert await bus.ensure(Topology((wider,), (slower,))) == []
    assert await bus.append(f"{s.namespace}.extra.b", b"new subject") == 2

    left = await bus.ensure(Topology((dataclasses.replace(wider, max_msgs=1, storage="memory"),)))
    assert left == [f"stream {name}: storage is file, wanted memory"], "and wider is kept without a word"
    left = await bus.ensure(Topology((spec,)))
    assert any(f"{s.namespace}.extra.b" in line for line in left)
    assert [m.data for m in await bus.pages(name, ">", start=1, limit=9)] == [b"kept", b"new subject"]


async def test_two_at_once(place: Any, bus: Bus, s: Subjects) -> None:
    other = await place.connect()
    topology = build(Subjects(f"{s.namespace}b"))
    first, second = await asyncio.gather(bus.ensure(topology), other.ensure(topology))
    assert first == [] and second == []


async def test_overlapping_subjects_are_refused_by_name(bus: Bus, s: Subjects) -> None:
    spec = StreamSpec(f"{s.namespace.upper()}_RIVAL", (s.all_proposals(),), "takes another stream's subjects")
    with pytest.raises(Refused, match="RIVAL") as caught:
        await bus.ensure(Topology((spec,)))
    assert caught.value.code == 10065
