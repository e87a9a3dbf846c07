"""Appends, expectations, batches and reads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from pocket3d.bus.port import Append, Bus, Conflict, Expect, Msg, NoResponders, Refused
from pocket3d.bus.topology import ConsumerSpec, StreamSpec, Topology, coordinator_results
from pocket3d.contracts.subjects import Subjects


async def test_whoever_listens_gets_what_is_stored(place: Any, bus: Bus, s: Subjects) -> None:
    got: list[bytes] = []

    async def handler(msg: Msg) -> None:
        got.append(msg.data)

    other = await place.connect()
    await other.subscribe(s.all_results(), handler)
    await other.subscribe(s.all_events(), handler)
    await bus.append(s.proposal("echo", "a"), b"one")
    await bus.append_batch(
        [Append(s.event("echo", "a", "queued"), b"two"), Append(s.event("echo", "a", "x"), b"three")]
    )
    await place.eventually(lambda: len(got) == 3)
    assert sorted(got) == [b"one", b"three", b"two"]


async def test_append_and_read_back(bus: Bus, s: Subjects) -> None:
    first = await bus.append(s.proposal("echo", "a"), b"one", headers={"Kind": "test"})
    second = await bus.append(s.proposal("echo", "b"), b"two")
    assert (first, second) == (1, 2)
    found = await bus.get(s.results_stream, first)
    assert found is not None
    assert (found.stream, found.subject, found.seq, found.data) == (s.results_stream, s.result("echo", "a"), 1, b"one")
    assert found.headers["Kind"] == "test"
    assert await bus.get(s.results_stream, 99) is None
    assert await bus.get(s.results_stream, 0) is None
    assert await bus.last_seq(s.results_stream) == 2
    created = await bus.stream_created(s.results_stream)
    assert created <= found.time < created + 60


async def test_last_takes_wildcards(bus: Bus, s: Subjects) -> None:
    for feature, job, data in (("echo", "a", b"1"), ("text_to_mesh", "b", b"2"), ("echo", "c", b"3")):
        await bus.append(s.proposal(feature, job), data)
    for pattern, data in (
        (s.result_of("b"), b"2"),
        (s.results_of_feature("echo"), b"3"),
        (s.all_results(), b"3"),
        (s.result("echo", "a"), b"1"),
    ):
        found = await bus.last(s.results_stream, pattern)
        assert found is not None and found.data == data
    assert await bus.last(s.results_stream, s.result_of("nobody")) is None


async def test_messages_are_counted_and_subjects_listed(bus: Bus, s: Subjects) -> None:
    dead = s.dead_stream
    assert (await bus.message_count(dead), await bus.subjects(dead, ">")) == (0, {})
    for feature, job in (("echo", "a"), ("text_to_mesh", "b"), ("echo", "c"), ("echo", "c")):
        await bus.append(s.dead(feature, job), b"x" * 100)
    assert await bus.message_count(dead) == 4
    assert await bus.subjects(dead, s.dead("echo", "*")) == {s.dead("echo", "a"): 1, s.dead("echo", "c"): 2}
    await bus.delete(dead, 1)
    assert await bus.message_count(dead) == 3
    assert sorted(await bus.subjects(dead, s.all_dead())) == [s.dead("echo", "c"), s.dead("text_to_mesh", "b")]
    with pytest.raises(Refused):
        await bus.subjects("NOWHERE", ">")


async def test_no_stream(bus: Bus, s: Subjects) -> None:
    with pytest.raises(NoResponders):
        await bus.append(s.job("urgent", "echo"), b"a priority that there is not")
    with pytest.raises(Refused) as caught:
        await bus.last_seq("NOWHERE")
    assert caught.value.code == 10059
    with pytest.raises(Refused):
        await bus.last("NOWHERE", ">")


async def test_a_plain_publish_is_stored(bus: Bus, s: Subjects) -> None:
    await bus.publish(s.progress("echo", "a"), b"half")
    assert await bus.append(s.progress("echo", "a"), b"whole") == 2
    # One message per subject is kept.
    assert [m.data for m in await bus.pages(s.progress_stream, ">", start=1, limit=9)] == [b"whole"]


async def test_expectations(bus: Bus, s: Subjects) -> None:
    subject = s.dead("echo", "a")
    assert await bus.append(subject, b"1", expect=Expect(0)) == 1
    with pytest.raises(Conflict) as caught:
        await bus.append(subject, b"2", expect=Expect(0))
    assert caught.value.last == 1
    # Under another feature: the filter makes the job id unique.
    with pytest.raises(Conflict) as caught:
        await bus.append(s.dead("text_to_mesh", "a"), b"2", expect=Expect(0, s.dead("*", "a")))
    assert caught.value.last == 1
    assert await bus.append(s.dead("text_to_mesh", "b"), b"2", expect=Expect(0, s.dead("*", "b"))) == 2
    assert await bus.append(subject, b"3", expect=Expect(1)) == 3
    with pytest.raises(Conflict):
        await bus.append(subject, b"4", expect=Expect(1))
    assert await bus.last_seq(s.dead_stream) == 3


async def test_a_race_has_one_winner(place: Any, s: Subjects) -> None:
    buses = [await place.connect() for _ in range(4)]
    for job in range(20):

        async def attempt(number: int, job: int = job) -> int:
            try:
                return await buses[number % 4].append(
                    s.proposal("echo", f"job{job}"), b"%d" % number, expect=Expect(0, s.result_of(f"job{job}"))
                )
            except Conflict:
                return 0

        won = [seq for seq in await asyncio.gather(*(attempt(number) for number in range(12))) if seq]
        assert len(won) == 1
    assert await buses[0].last_seq(s.results_stream) == 20


async def test_many_appends_in_flight_keep_their_order(bus: Bus, s: Subjects) -> None:
    seqs = await asyncio.gather(*(bus.append(s.proposal("echo", f"j{n}"), b"%d" % n, timeout=60) for n in range(3000)))
    assert sorted(seqs) == list(range(1, 3001))
    stored = await bus.pages(s.results_stream, s.all_results(), start=1, limit=5000)
    assert [message.data for message in stored] == [b"%d" % n for n in range(3000)]


async def test_msg_ids_are_stored_once(bus: Bus, s: Subjects) -> None:
    for _ in range(3):
        assert await bus.append(s.job("high", "echo"), b"{}", headers={"Nats-Msg-Id": "a"}) == 1
    assert await bus.append(s.job("high", "echo"), b"{}", headers={"Nats-Msg-Id": "b"}) == 2


async def test_an_expectation_is_judged_before_the_msg_id(bus: Bus, s: Subjects) -> None:
    headers = {"Nats-Msg-Id": "a"}
    await bus.append(s.proposal("echo", "a"), b"", headers=headers, expect=Expect(0))
    with pytest.raises(Conflict):
        await bus.append(s.proposal("echo", "a"), b"", headers=headers, expect=Expect(0))


async def test_a_full_stream_refuses(bus: Bus, s: Subjects) -> None:
    await asyncio.gather(*(bus.append(s.job("low", "echo"), b"", timeout=60) for _ in range(3000)))
    with pytest.raises(Refused) as caught:
        await bus.append(s.job("high", "echo"), b"")
    assert caught.value.code == 10077


# -- batches


async def test_a_batch_is_stored_whole(bus: Bus, s: Subjects) -> None:
    fence = await bus.append(s.leader_record(), b"epoch 1")
    messages = [
        Append(s.event("echo", f"j{n}", "queued"), b"%d" % n, {"No": str(n)}, Expect(0, s.events_of(f"j{n}")))
        for n in range(1000)
    ]
    messages[0] = messages[0]._replace(expect=Expect(fence, s.leader_record()))
    assert await bus.append_batch(messages) == 1001
    stored = await bus.pages(s.events_stream, s.all_events(), start=1, limit=2000)
    assert [message.data for message in stored] == [b"%d" % n for n in range(1000)]
    assert stored[7].headers["No"] == "7"


async def test_each_message_of_a_batch_may_expect_none_of_its_own_id(bus: Bus, s: Subjects) -> None:
    def first_event(job_id: str) -> Append:
        return Append(s.event("echo", job_id, "queued"), b"", None, Expect(0, s.events_of(job_id)))

    assert await bus.append_batch([first_event(f"j{n}") for n in range(256)]) == 256
    with pytest.raises(Conflict):
        await bus.append_batch([first_event(job_id) for job_id in ("new1", "j77", "new2")])
    assert await bus.last(s.events_stream, s.events_of("new1")) is None
    assert await bus.append_batch([first_event(job_id) for job_id in ("new1", "new2")]) == 258


@pytest.mark.parametrize("place_of_conflict", [0, 1, 4])
async def test_a_batch_is_refused_whole(bus: Bus, s: Subjects, place_of_conflict: int) -> None:
    await bus.append(s.event("echo", "old", "queued"), b"")
    messages = [Append(s.event("echo", f"j{n}", "queued"), b"", None, None) for n in range(5)]
    messages[place_of_conflict] = Append(
        s.event("text_to_mesh", "old", "queued"), b"", None, Expect(0, s.events_of("old"))
    )
    with pytest.raises(Conflict) as caught:
        await bus.append_batch(messages)
    assert caught.value.last == 1
    assert await bus.last_seq(s.events_stream) == 1


async def test_a_stale_leader_cannot_write(place: Any, bus: Bus, s: Subjects) -> None:
    new_leader = await place.connect()
    old = await bus.append(s.leader_record(), b"epoch 1")
    await new_leader.append(s.leader_record(), b"epoch 2", expect=Expect(old))
    fenced = Append(s.event("echo", "a", "started"), b"", None, Expect(old, s.leader_record()))
    for batch in ([fenced], [fenced, Append(s.event("echo", "b", "started"), b"")]):
        with pytest.raises(Conflict):
            await bus.append_batch(batch)
    assert await bus.last(s.events_stream, s.all_events()) is None


async def test_a_batch_of_one_and_a_batch_of_none(bus: Bus, s: Subjects) -> None:
    assert await bus.append_batch([Append(s.event("echo", "a", "queued"), b"", None, Expect(0))]) == 1
    with pytest.raises(ValueError):
        await bus.append_batch([])


async def test_batches_that_no_server_could_judge(bus: Bus, s: Subjects) -> None:
    # A server would store both: it does not see the first while it judges the second.
    twice = [
        Append(s.event(feature, "a", "queued"), b"", None, Expect(0, s.events_of("a")))
        for feature in ("echo", "text_to_mesh")
    ]
    with pytest.raises(ValueError, match="same batch"):
        await bus.append_batch(twice)
    with pytest.raises(Refused) as caught:
        await bus.append_batch([Append(s.event("echo", f"j{n}", "queued"), b"") for n in range(1001)])
    assert caught.value.code == 10199
    assert await bus.last_seq(s.events_stream) == 0


async def test_a_stream_without_batches_refuses_them(bus: Bus, s: Subjects) -> None:
    with pytest.raises(Refused) as caught:
        await bus.append_batch([Append(s.proposal("echo", f"j{n}"), b"") for n in range(3)])
    assert caught.value.code == 10174
    assert await bus.last_seq(s.results_stream) == 0
    with pytest.raises(NoResponders):
        await bus.append_batch([Append(f"{s.namespace}.nowhere.{n}", b"") for n in range(3)])


# -- pages


async def test_pages_dense_sparse_and_from_the_middle(bus: Bus, s: Subjects) -> None:
    await asyncio.gather(
        *(bus.append(s.proposal("echo" if n % 50 else "text_to_mesh", f"j{n}"), b"%d" % n) for n in range(1000))
    )
    dense = await bus.pages(s.results_stream, s.all_results(), start=1, limit=5000)
    assert [message.seq for message in dense] == list(range(1, 1001))
    sparse = await bus.pages(s.results_stream, s.results_of_feature("text_to_mesh"), start=1, limit=5000)
    assert [message.data for message in sparse] == [b"%d" % n for n in range(0, 1000, 50)]
    assert [m.seq for m in await bus.pages(s.results_stream, s.all_results(), start=990, limit=5)] == [
        990,
        991,
        992,
        993,
        994,
    ]
    middle = await bus.pages(s.results_stream, s.results_of_feature("text_to_mesh"), start=500, limit=3)
    assert [message.seq for message in middle] == [501, 551, 601]
    assert await bus.pages(s.results_stream, s.all_results(), start=1001, limit=5) == []
    assert await bus.pages(s.results_stream, s.result_of("nobody"), start=1, limit=5) == []


async def test_pages_leave_nothing_out_while_others_write(place: Any, bus: Bus, s: Subjects) -> None:
    writer = await place.connect()

    async def write() -> None:
        for n in range(1500):
            await writer.append(s.proposal("echo", f"j{n}"), b"")

    writing = asyncio.ensure_future(write())
    read: list[int] = []
    while not (writing.done() and len(read) == 1500):
        page = await bus.pages(s.results_stream, s.all_results(), start=len(read) + 1, limit=200)
        read += [message.seq for message in page]
        assert read == list(range(1, len(read) + 1))
    await writing


async def test_a_deleted_message_is_gone_and_the_rest_stays(bus: Bus, s: Subjects) -> None:
    for data in (b"one", b"two", b"three"):
        await bus.append(s.dead("echo", "a"), data)
    assert await bus.delete(s.dead_stream, 3)
    assert not await bus.delete(s.dead_stream, 3), "it is gone already"
    assert not await bus.delete(s.dead_stream, 99)
    assert not await bus.delete(s.dead_stream, 0)
    assert await bus.get(s.dead_stream, 3) is None
    found = await bus.last(s.dead_stream, s.dead("*", "a"))
    assert found is not None and found.data == b"two"
    assert [m.data for m in await bus.pages(s.dead_stream, ">", start=1, limit=9)] == [b"one", b"two"]
    # What follows is stored as if it had never been there.
    assert await bus.append(s.dead("echo", "a"), b"four", expect=Expect(2)) == 4
    with pytest.raises(Refused) as caught:
        await bus.delete("NOWHERE", 1)
    assert caught.value.code == 10059


async def test_a_stream_may_deny_deletion(bus: Bus, s: Subjects) -> None:
    revision = await bus.kv_put(s.leader_bucket, "leader", b"x")
    with pytest.raises(Refused):
        await bus.delete(f"KV_{s.leader_bucket}", revision)
    assert await bus.kv_get(s.leader_bucket, "leader") is not None


async def test_a_deleted_message_that_was_delivered_is_not_waited_for(place: Any, bus: Bus, s: Subjects) -> None:
    consumer = coordinator_results(s)
    seen: list[int] = []

    async def take(batch: Any) -> None:
        seen.extend(delivery.message.seq for delivery in batch)

    await bus.append(s.proposal("echo", "a"), b"x")
    consumption = await bus.consume(consumer, take)
    await place.eventually(lambda: seen == [1])
    assert await bus.delete(s.results_stream, 1)
    await bus.ack(consumer, 1)
    assert await bus.backlog(consumer) == 0
    await consumption.close()


# -- the results stream: proposals


async def test_core_subscribers_hear_stored_results_once_and_no_refused_one(place: Any, bus: Bus, s: Subjects) -> None:
    heard: list[Msg] = []

    async def handler(msg: Msg) -> None:
        heard.append(msg)

    listener = await place.connect()
    await listener.subscribe(f"{s.namespace}.results.>", handler)
    first = Expect(0, s.result_of("a"))
    assert await bus.append(s.proposal("echo", "a"), b"1", expect=first) == 1
    refused = (
        Append(s.proposal("echo", "a"), b"the same again", None, first),
        Append(s.proposal("echo", "a"), b"without an expectation"),
        Append(s.proposal("text_to_mesh", "a"), b"under another feature", None, first),
    )
    for message in refused:
        with pytest.raises(Conflict):
            await bus.append(message.subject, message.data, expect=message.expect)
    await bus.publish(s.proposal("echo", "a"), b"a plain publish")
    assert await bus.append(s.proposal("echo", "b"), b"2") == 2
    await place.eventually(lambda: len(heard) >= 2)
    assert [(msg.subject, msg.data) for msg in heard] == [(s.result("echo", "a"), b"1"), (s.result("echo", "b"), b"2")]
    assert [(msg.headers["Nats-Stream"], msg.headers["Nats-Sequence"]) for msg in heard] == [
        (s.results_stream, "1"),
        (s.results_stream, "2"),
    ]
    stored = await bus.pages(s.results_stream, ">", start=1, limit=9)
    assert [(message.subject, message.data) for message in stored] == [(msg.subject, msg.data) for msg in heard]


async def test_a_full_subject_is_another_refusal_than_a_full_stream(bus: Bus, s: Subjects) -> None:
    await bus.append(s.proposal("echo", "a"), b"1")
    with pytest.raises(Conflict, match="per subject") as caught:
        await bus.append(s.proposal("echo", "a"), b"2")
    assert caught.value.last is None
    answer = await bus.request(s.proposal("echo", "a"), b"2", timeout=5)
    assert json.loads(answer.data)["error"]["err_code"] == 10077
    full = f"{s.namespace.upper()}_FULL"
    spec = StreamSpec(full, (f"{s.namespace}.full.*",), "takes one message", discard="new", max_msgs=1)
    await bus.ensure(Topology((spec,)))
    await bus.append(f"{s.namespace}.full.a", b"1")
    for subject in ("a", "b"):
        with pytest.raises(Refused) as refused:
            await bus.append(f"{s.namespace}.full.{subject}", b"2")
        assert refused.value.code == 10077


async def test_an_expectation_in_the_form_of_a_proposal_sees_nothing(bus: Bus, s: Subjects) -> None:
    # So it must be in the form of what is stored: this one admits a second result of an id.
    await bus.append(s.proposal("echo", "a"), b"1")
    assert await bus.append(s.proposal("text_to_mesh", "a"), b"2", expect=Expect(0, s.proposal("*", "a"))) == 2


async def test_a_publish_past_the_proposals_is_stored_nowhere(bus: Bus, s: Subjects) -> None:
    with pytest.raises(NoResponders):
        await bus.append(s.result("echo", "a"), b"1")
    assert await bus.last_seq(s.results_stream) == 0


async def test_a_deleted_result_makes_room_for_another(bus: Bus, s: Subjects) -> None:
    assert await bus.append(s.proposal("echo", "a"), b"x") == 1
    assert await bus.delete(s.results_stream, 1)
    assert await bus.append(s.proposal("echo", "a"), b"a result", expect=Expect(0, s.result_of("a"))) == 2


async def test_what_a_stream_takes(bus: Bus, s: Subjects) -> None:
    assert await bus.stream_takes(s.results_stream) == [s.all_proposals()]
    assert await bus.stream_takes(s.jobs_stream) == s.all_jobs()
    assert await bus.stream_takes(f"KV_{s.status_bucket}") == []
    with pytest.raises(Refused) as caught:
        await bus.stream_takes("NOWHERE")
    assert caught.value.code == 10059


async def test_durable_subscribers_filter_by_what_is_stored(place: Any, bus: Bus, s: Subjects) -> None:
    seen: list[bytes] = []

    async def take(batch: Any) -> None:
        seen.extend(delivery.message.data for delivery in batch)

    spec = ConsumerSpec(s.results_stream, "subscriber", s.results_of_feature("echo"), "a subscriber of results")
    assert await bus.ensure(Topology((), (spec,))) == []
    await bus.append(s.proposal("echo", "a"), b"1")
    await bus.append(s.proposal("text_to_mesh", "b"), b"2")
    await bus.append(s.proposal("echo", "c"), b"3")
    consumption = await bus.consume(spec.consumer, take)
    await place.eventually(lambda: seen == [b"1", b"3"])
    await consumption.close()
