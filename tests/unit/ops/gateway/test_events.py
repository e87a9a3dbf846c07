"""Events handed to readers: who gets what, and what becomes of a slow one."""

from __future__ import annotations

import msgspec

from pocket3d.ops.gateway.events import Event, FanOut, Wants, dropped, frame


def status(job_id: str, tenant: str = "studio", seq: int = 1) -> Event:
    return Event("status", job_id, b'{"n":%d}' % seq, tenant, seq)


def progress(job_id: str, n: int, tenant: str = "studio") -> Event:
    return Event("progress", job_id, b'{"n":%d}' % n, tenant)


def test_a_frame_is_one_event_whatever_its_data() -> None:
    assert frame("status", b'{"a":\r\n1}', 7) == b'event: status\ndata: {"a":  1}\nid: 7\n\n'
    assert frame("progress", b"{}") == b"event: progress\ndata: {}\n\n"


def test_readers_get_what_they_want_and_may_see() -> None:
    fan = FanOut(10)
    of_job = fan.open(Wants("j1"))
    of_tenant = fan.open(Wants(tenant="studio"))
    of_all = fan.open(Wants(kinds=frozenset({"status"})))
    assert set(fan.publish(status("j1"))) == {of_job, of_tenant, of_all}
    assert set(fan.publish(status("j2", "lab"))) == {of_all}
    assert set(fan.publish(progress("j1", 1))) == {of_job, of_tenant}
    assert set(fan.publish(Event("advert", "gpu-07", b"{}", None))) == {of_tenant}
    assert [len(reader.take()) for reader in (of_job, of_tenant, of_all)] == [2, 3, 2]
    fan.close(of_job)
    fan.close(of_all)
    fan.close(of_all)
    assert set(fan.publish(status("j1"))) == {of_tenant}
    assert len(fan) == 1


def test_only_admins_get_what_is_not_for_all() -> None:
    fan = FanOut(10)
    anybody, admin = fan.open(Wants()), fan.open(Wants(admin=True))
    fan.publish(Event("advert", "gpu-07", b'{"running":[1]}', None, public_data=b'{"running":[]}'))
    assert [reader.take()[0].frame for reader in (anybody, admin)] == [
        frame("advert", b'{"running":[]}'),
        frame("advert", b'{"running":[1]}'),
    ]


def test_a_reader_that_is_behind_keeps_the_newest_progress() -> None:
    fan = FanOut(4)
    reader = fan.open(Wants())
    for n in range(1000):
        fan.publish(progress("j1", n))
        fan.publish(progress("j2", n))
    fan.publish(status("j1"))
    assert [queued.frame for queued in reader.take()] == [
        frame("progress", b'{"n":999}'),
        frame("progress", b'{"n":999}'),
        frame("status", b'{"n":1}', 1),
    ]
    assert reader.missed == 0


def test_the_newest_progress_stands_where_it_came_and_takes_the_place_of_the_older() -> None:
    fan = FanOut(3)
    reader = fan.open(Wants())
    for event in (progress("j1", 1), status("j1"), progress("j2", 1), progress("j1", 2)):
        fan.publish(event)
    assert (reader.missed, len(reader)) == (0, 3), "as many as its queue is long"
    assert [queued.frame for queued in reader.take()] == [
        frame("status", b'{"n":1}', 1),
        frame("progress", b'{"n":1}'),
        frame("progress", b'{"n":2}'),
    ]


def test_readers_are_counted_and_asked_what_they_want() -> None:
    fan = FanOut(10)
    of_job, other = fan.open(Wants("j1")), fan.open(Wants("j1"))
    assert (len(fan), fan.wanted("advert")) == (2, False), "readers of one subject do not count"
    statuses = fan.open(Wants(kinds=frozenset({"status"})))
    assert (len(fan), fan.wanted("status"), fan.wanted("advert")) == (3, True, False)
    of_all = fan.open(Wants())
    assert (len(fan), fan.wanted("advert")) == (4, True)
    for reader, left in ((of_job, 3), (of_all, 2), (statuses, 1)):
        fan.close(reader)
        assert len(fan) == left
    assert set(fan.publish(status("j1"))) == {other}, "one reader's end is not another's"


def test_a_reader_gets_events_of_its_own_subject_only() -> None:
    reader = FanOut(10).open(Wants("j1"))
    assert [reader.takes(status(name)) for name in ("j1", "j2")] == [True, False]


def test_a_reader_that_is_too_far_behind_is_told_and_keeps_nothing() -> None:
    fan = FanOut(3)
    slow, quick = fan.open(Wants()), fan.open(Wants())
    for n in range(1, 6):
        fan.publish(status("j1", seq=n))
        quick.take()
        assert slow.missed == (0 if n <= 3 else n)
    assert (slow.missed, len(slow), slow.take(), quick.missed) == (5, 0, [], 0)
    assert msgspec.json.decode(dropped(slow.missed).split(b"data: ")[1].strip()) == {"missed": 5}
