"""One leads: takeover on the standby's own clock, lost answers, fences, epochs, pauses, clocks that jump."""

from __future__ import annotations

import msgspec

from pocket3d.contracts.clock import Now
from pocket3d.contracts.commands import LeaderRecord
from pocket3d.coordinator.leadership.leader_record import (
    LeaderRecordNotWritten,
    LeaderRecordRead,
    LeaderRecordUnread,
    LeaderRecordWritten,
    ReadLeaderRecord,
    WriteLeaderRecord,
)
from pocket3d.coordinator.leadership.lease import Leadership
from pocket3d.coordinator.leadership.lease_events import (
    FencedOut,
    GivenUp,
    Lead,
    LeaderPinged,
    LeaseConflict,
    LeaseEffect,
    LeaseEvent,
    LeaseRead,
    LeaseTick,
    LeaseUnknown,
    LeaseUnread,
    LeaseWritten,
    LinkBack,
    LinkLost,
    PingLeader,
    ProofWanted,
    Proven,
    ReadLease,
    StepDown,
    WriteLease,
)

LEASE, RENEW = 15.0, 3.0
WALL = 1_795_000_000.0


class Bucket:
    """The leader bucket and the events stream's leader record, as the server keeps them."""

    def __init__(self) -> None:
        self.record: LeaderRecord | None = None
        self.revision = 0
        self.fence: LeaderRecord | None = None
        self.fence_seq = 0
        self.given_back = False
        #: What comes of pings, by coordinator; None: silence.
        self.there: dict[str, bool] = {}

    def read(self) -> LeaseRead:
        return LeaseRead(self.record, self.revision, self.given_back)

    def remove(self, *, given_back: bool = False) -> None:
        """The entry is gone: its bucket was made anew, or its holder gave it back."""
        self.record, self.revision, self.given_back = None, 0, given_back

    def write(self, effect: WriteLease) -> LeaseEvent:
        if effect.last != self.revision:
            return LeaseConflict()
        self.revision += 1
        self.record = effect.record
        return LeaseWritten(self.revision)

    def read_fence(self) -> LeaseEvent:
        return LeaderRecordRead(self.fence, self.fence_seq)

    def put_fence(self, effect: WriteLeaderRecord) -> LeaseEvent:
        if effect.last != self.fence_seq:
            return LeaderRecordNotWritten()
        self.fence = effect.record
        self.fence_seq += 1
        return LeaderRecordWritten(effect.record.epoch, self.fence_seq)


class One:
    """A coordinator whose service answers at once, unless set otherwise."""

    def __init__(self, name: str, bucket: Bucket, *, wall: float = WALL) -> None:
        self.leadership = Leadership(name, lease_s=LEASE, renew_s=RENEW)
        self.bucket = bucket
        self.mono = 100.0
        self.wall = wall
        #: Effects that are kept back instead of performed.
        self.hold: tuple[type, ...] = ()
        self.held: list[LeaseEffect] = []
        self.said: list[LeaseEffect] = []

    @property
    def now(self) -> Now:
        return Now(self.mono, self.wall + self.mono)

    def do(self, event: LeaseEvent) -> list[LeaseEffect]:
        """Hand in an event and perform what follows; what was said to the reign."""
        said: list[LeaseEffect] = []
        effects = self.leadership.handle(event, self.now)
        while effects:
            effect = effects.pop(0)
            if isinstance(effect, self.hold):
                self.held.append(effect)
            elif isinstance(effect, ReadLease):
                effects += self.leadership.handle(self.bucket.read(), self.now)
            elif isinstance(effect, WriteLease):
                effects += self.leadership.handle(self.bucket.write(effect), self.now)
            elif isinstance(effect, ReadLeaderRecord):
                effects += self.leadership.handle(self.bucket.read_fence(), self.now)
            elif isinstance(effect, WriteLeaderRecord):
                effects += self.leadership.handle(self.bucket.put_fence(effect), self.now)
            elif isinstance(effect, PingLeader):
                there = self.bucket.there.get(effect.coordinator_id)
                effects += self.leadership.handle(LeaderPinged(effect.coordinator_id, there), self.now)
            else:
                said.append(effect)
        self.said += said
        return said

    def tick(self, seconds: float = 0.0) -> list[LeaseEffect]:
        """Ticks every quarter second."""
        said = self.do(LeaseTick())
        for _ in range(int(seconds * 4)):
            self.mono += 0.25
            said += self.do(LeaseTick())
        return said


def pair() -> tuple[One, One, Bucket]:
    """A leader and a standby that has seen it."""
    bucket = Bucket()
    first, second = One("one", bucket), One("two", bucket)
    assert [type(s) for s in first.tick()] == [Lead]
    assert second.tick(1.0) == []
    return first, second, bucket


def together(seconds: float, *ones: One) -> None:
    for _ in range(int(seconds * 4)):
        for one in ones:
            one.mono += 0.25
            one.do(LeaseTick())


def test_the_first_takes_an_empty_bucket_at_once() -> None:
    bucket = Bucket()
    one = One("one", bucket)
    (lead,) = one.tick()
    assert bucket.fence is not None
    assert lead == Lead(epoch=int((WALL + 100.0) * 1000), fence=1, record=bucket.fence)
    assert bucket.fence.epoch == one.leadership.epoch


def test_a_leader_that_renews_is_left_alone() -> None:
    first, second, bucket = pair()
    together(120.0, first, second)
    assert not second.leadership.leading
    assert first.leadership.leading
    assert bucket.record is not None
    assert bucket.record.renewal >= 120 / (RENEW + 0.25) - 1


def test_a_standby_takes_over_after_a_lease_on_its_own_clock() -> None:
    _, second, bucket = pair()
    second.mono += 10_000.0 - 100.0  # Its clock has nothing to do with the leader's.
    second.tick(0.25)
    began = second.mono
    while not second.leadership.leading:
        second.tick(0.25)
        assert second.mono - began < LEASE + 3
    assert second.mono - began >= LEASE - RENEW / 3 - 0.5
    assert bucket.record is not None
    assert bucket.record.coordinator_id == "two"


def test_an_epoch_is_always_higher_even_if_the_clock_runs_behind() -> None:
    bucket = Bucket()
    first, second = One("one", bucket), One("two", bucket, wall=WALL - 5_000.0)
    first.tick()
    epoch = first.leadership.epoch
    second.tick(LEASE + 2)
    assert second.leadership.leading
    assert second.leadership.epoch == epoch + 1


def test_the_former_leader_steps_down_when_it_sees_the_new_one() -> None:
    first, second, _ = pair()
    second.tick(LEASE + 2)
    assert second.leadership.leading
    first.mono = second.mono
    said = first.do(LeaseTick())
    assert [type(s) for s in said] == [StepDown]
    assert not first.leadership.leading


def test_one_that_leads_again_has_fenced_the_events_anew() -> None:
    first, second, bucket = pair()
    second.tick(LEASE + 2)
    first.mono = second.mono
    first.do(LeaseTick())
    first.said.clear()
    first.tick(LEASE + 2)
    (lead,) = (each for each in first.said if isinstance(each, Lead))
    assert (lead.fence, lead.record) == (bucket.fence_seq, bucket.fence) == (3, bucket.record)


def test_only_one_of_two_standbys_gets_the_lease() -> None:
    bucket = Bucket()
    first, second, third = (One(name, bucket) for name in ("one", "two", "three"))
    first.tick()
    second.tick(0.25)
    third.tick(0.25)
    for _ in range(int((LEASE + 4) * 4)):
        for one in (second, third):
            one.mono += 0.25
            one.do(LeaseTick())
            assert not (second.leadership.leading and third.leadership.leading)
    assert second.leadership.leading or third.leadership.leading


# ---------------------------------------------------------------- leaders that are not connected


def test_a_leader_that_is_not_connected_loses_the_lease_within_two_seconds() -> None:
    _, second, bucket = pair()
    second.tick(RENEW)
    bucket.there["one"] = False
    second.tick(0.75)
    assert not second.leadership.leading, "one no says nothing yet"
    second.tick(1.25)
    assert second.leadership.leading


def test_a_leader_that_is_silent_has_its_whole_lease() -> None:
    _, second, _ = pair()
    second.tick(LEASE - 2)
    assert not second.leadership.leading


def test_a_leader_that_answers_between_keeps_the_lease() -> None:
    first, second, bucket = pair()
    together(RENEW, first, second)
    for _ in range(40):
        bucket.there["one"] = False
        together(0.75, first, second)
        bucket.there["one"] = True
        together(0.5, first, second)
    assert first.leadership.leading
    assert not second.leadership.leading


def test_a_leader_that_renews_is_connected_whatever_the_pings_say() -> None:
    first, second, bucket = pair()
    bucket.there["one"] = False
    together(0.25, first, second)
    for _ in range(100):
        first.do(ProofWanted())
        together(0.25, first, second)
    assert first.leadership.leading


def test_after_a_reconnect_of_its_own_a_standby_gives_the_leader_time_to_come_back() -> None:
    _, second, bucket = pair()
    second.do(LinkLost())
    second.mono += 1.0
    second.do(LinkBack())
    bucket.there["one"] = False
    second.tick(RENEW + 0.75)
    assert not second.leadership.leading
    second.tick(1.0)
    assert second.leadership.leading


def test_a_coordinator_that_answers_no_pings_is_not_asked() -> None:
    _, second, bucket = pair()
    assert bucket.record is not None
    bucket.record = msgspec.structs.replace(bucket.record, answers_pings=False)
    bucket.revision += 1
    second.tick(RENEW)
    second.hold = (PingLeader,)
    second.tick(LEASE - RENEW - 2)
    assert second.held == [], "an earlier version does not listen there"


def test_a_leader_that_overtook_a_candidate_has_its_whole_lease_though_it_seemed_gone_before() -> None:
    first, second, bucket = removed_entry()
    bucket.there["one"] = False
    second.tick(1.0)
    assert not second.leadership.leading, "it has heard that the leader is not connected, and waits whether it stays so"
    second.hold = (PingLeader,)
    first.mono = second.mono
    assert bucket.fence is not None and bucket.record is not None
    # The leader that seemed gone leads anew, by a younger record in both places.
    younger = msgspec.structs.replace(bucket.fence, epoch=bucket.record.epoch + 1)
    bucket.fence, bucket.fence_seq = younger, bucket.fence_seq + 1
    bucket.record, bucket.revision = younger, bucket.revision + 1
    second.tick(LEASE - 1)
    assert not second.leadership.leading


def test_what_was_said_of_a_former_leader_is_not_held_against_the_next() -> None:
    first, second, bucket = pair()
    second.tick(RENEW)
    bucket.there["one"] = False
    second.tick(0.75)
    assert first.leadership.leading
    bucket.record = msgspec.structs.replace(bucket.record, coordinator_id="three") if bucket.record else None
    bucket.revision += 1
    second.do(LeaderPinged("one", False))
    second.tick(LEASE - 2)
    assert not second.leadership.leading


def test_a_leader_is_not_certain_before_it_has_renewed_over_a_new_connection() -> None:
    first, _, _ = pair()
    assert first.leadership.certain(first.now)
    first.do(LinkLost())
    assert not first.leadership.certain(first.now)
    first.mono += 0.5
    first.hold = (WriteLease,)
    first.do(LinkBack())
    assert not first.leadership.certain(first.now), "another may lead by now"
    (renewal,) = first.held
    assert isinstance(renewal, WriteLease)
    first.do(first.bucket.write(renewal))
    assert first.leadership.certain(first.now)


# ---------------------------------------------------------------- an entry that somebody removed


def removed_entry() -> tuple[One, One, Bucket]:
    """A leader whose entry somebody removed, and a coordinator that starts just then."""
    bucket = Bucket()
    first, second = One("one", bucket), One("two", bucket)
    assert [type(s) for s in first.tick()] == [Lead]
    first.tick(30.0)
    second.mono = first.mono + 0.25
    bucket.remove()
    return first, second, bucket


def test_one_that_starts_while_the_entry_is_gone_respects_the_leader_of_the_events() -> None:
    _, second, bucket = removed_entry()
    second.tick(LEASE - RENEW - 0.5)
    assert not second.leadership.leading, "the other may be certain of its lease"
    assert bucket.fence is not None
    assert bucket.fence.coordinator_id == "one"
    second.tick(2.0)
    assert second.leadership.leading


def test_it_leads_sooner_where_that_leader_is_not_connected() -> None:
    _, second, bucket = removed_entry()
    bucket.there["one"] = False
    second.tick(2.5)
    assert second.leadership.leading


def test_the_leader_whose_entry_was_removed_steps_down_before_the_other_leads() -> None:
    first, second, _ = removed_entry()
    first.mono = second.mono
    for _ in range(int(LEASE * 4)):
        for one in (second, first):
            one.mono += 0.25
            one.do(LeaseTick())
            assert not (first.leadership.leading and second.leadership.leading)
    assert second.leadership.leading or first.leadership.leading


# ---------------------------------------------------------------- lost answers


def test_a_takeover_whose_answer_was_lost_is_found_by_reading() -> None:
    bucket = Bucket()
    one = One("one", bucket)
    one.hold = (WriteLease,)
    one.tick()
    (write,) = one.held
    assert isinstance(write, WriteLease)
    bucket.write(write)
    one.hold = ()
    assert [type(s) for s in one.do(LeaseUnknown())] == [Lead]


def test_a_renewal_whose_answer_was_lost_does_not_end_the_leadership() -> None:
    for stored in (True, False):
        first, _, bucket = pair()
        first.hold = (WriteLease,)
        first.tick(RENEW + 0.25)
        (write,) = first.held
        assert isinstance(write, WriteLease)
        if stored:
            bucket.write(write)
        first.hold = ()
        assert first.do(LeaseUnknown()) == []
        assert first.leadership.leading
        assert first.tick(20.0) == []


def test_a_renewal_that_arrives_after_it_was_given_up_does_not_end_the_leadership() -> None:
    first, _, bucket = pair()
    first.hold = (WriteLease,)
    first.tick(RENEW + 0.25)
    late = first.held.pop()
    assert isinstance(late, WriteLease)
    # No answer; the read says it was not stored; the next is on its way, and now the first arrives.
    first.do(LeaseUnknown())
    (following,) = first.held
    assert isinstance(following, WriteLease)
    bucket.write(late)
    first.hold = ()
    assert first.do(bucket.write(following)) == []
    assert first.leadership.leading
    assert first.tick(20.0) == []


def test_a_renewal_in_flight_when_the_link_broke_does_not_end_the_leadership() -> None:
    first, _, bucket = pair()
    first.hold = (WriteLease,)
    first.tick(RENEW + 0.25)
    write = first.held.pop()
    assert isinstance(write, WriteLease)
    bucket.write(write)
    first.hold = ()
    first.do(LinkLost())
    first.do(LeaseUnknown())
    first.mono += 2.0
    assert first.do(LinkBack()) == []
    assert first.leadership.leading


def test_bytes_that_are_no_record_stand_a_lease_and_are_taken_over() -> None:
    bucket = Bucket()
    bucket.revision = 7
    one = One("one", bucket)
    assert one.tick(LEASE - 2) == [], "a leader's record may have been there a moment ago"
    assert [type(s) for s in one.tick(3.0)] == [Lead]
    assert bucket.revision == 8


def test_bytes_over_a_leaders_own_record_are_written_over_by_it() -> None:
    first, second, bucket = pair()
    bucket.record = None
    bucket.revision += 1
    together(20.0, first, second)
    assert first.leadership.leading
    assert not second.leadership.leading
    assert bucket.record is not None


def test_a_lease_that_cannot_be_read_is_read_again() -> None:
    bucket = Bucket()
    one = One("one", bucket)
    one.hold = (ReadLease,)
    one.tick()
    one.do(LeaseUnread())
    one.hold = ()
    one.tick(1.5)
    assert one.leadership.leading


# ---------------------------------------------------------------- silence of the server, pauses, clocks


def test_a_server_that_was_away_is_not_held_against_the_leader() -> None:
    first, second, _ = pair()
    second.hold = (ReadLease,)
    second.tick(1.25)
    second.held.clear()
    second.mono += 0.25
    # 60 s without any read: the standby did not see the leader, and did not see that its record did not change either.
    for _ in range(60):
        second.do(LeaseUnread())
        second.tick(1.0)
    second.hold = ()
    second.do(LeaseUnread())
    second.tick(LEASE - 2)
    assert not second.leadership.leading
    assert first.leadership.leading


def test_a_standby_that_slept_does_not_take_over_at_once() -> None:
    first, second, _ = pair()
    second.mono += 3600.0
    assert second.tick(1.0) == []
    together(60.0, first, second)
    assert not second.leadership.leading


def test_a_standby_that_lost_its_link_watches_anew() -> None:
    _, second, _ = pair()
    second.do(LinkLost())
    second.tick(60.0)
    second.do(LinkBack())
    second.tick(LEASE - 2)
    assert not second.leadership.leading
    second.tick(3.0)
    assert second.leadership.leading


def test_a_jump_of_the_wall_clock_changes_nothing() -> None:
    first, second, _ = pair()
    for jump in (3600.0, -7200.0, 86_400.0):
        first.wall += jump
        second.wall -= jump
        together(30.0, first, second)
        assert first.leadership.leading
        assert not second.leadership.leading


# ---------------------------------------------------------------- proof


def test_a_proof_is_a_renewal_sent_after_it_was_wanted() -> None:
    first, _, bucket = pair()
    first.mono += 1.0
    revision = bucket.revision
    assert [type(s) for s in first.do(ProofWanted())] == [Proven]
    assert bucket.revision == revision + 1


def test_a_renewal_from_before_a_pause_proves_nothing() -> None:
    first, second, bucket = pair()
    first.hold = (WriteLease,)
    first.tick(RENEW + 0.25)
    write = first.held.pop()
    assert isinstance(write, WriteLease)
    answer = bucket.write(write)
    # The process is paused for a minute, and another takes over.
    second.tick(2.0)
    second.tick(LEASE + 2)
    assert second.leadership.leading
    first.mono += 60.0
    first.hold = ()
    assert first.do(ProofWanted()) == []
    said = first.do(answer)
    assert [type(s) for s in said] == [StepDown]


def test_a_read_that_shows_the_old_record_proves_nothing() -> None:
    first, _, bucket = pair()
    first.mono += 1.0
    first.hold = (WriteLease,)
    first.do(ProofWanted())
    # The write is lost; the read finds the record as it was.
    assert first.do(LeaseUnknown()) == []
    second_try = first.held[-1]
    assert isinstance(second_try, WriteLease)
    first.hold = ()
    assert [type(s) for s in first.do(bucket.write(second_try))] == [Proven]


# ---------------------------------------------------------------- the fence


def test_nobody_leads_before_its_record_fences_the_events() -> None:
    bucket = Bucket()
    one = One("one", bucket)
    one.hold = (WriteLeaderRecord,)
    assert one.tick(2.0) == []
    (fence,) = one.held
    assert isinstance(fence, WriteLeaderRecord)
    assert [type(s) for s in one.do(bucket.put_fence(fence))] == [Lead]


def test_a_fence_of_a_younger_epoch_ends_the_candidacy_and_is_outbid() -> None:
    bucket = Bucket()
    bucket.fence = LeaderRecord(coordinator_id="ghost", epoch=int((WALL + 10_000) * 1000))
    bucket.fence_seq = 3
    one = One("one", bucket)
    assert one.tick() == []
    assert not one.leadership.leading
    said = one.tick(LEASE + 2)
    assert [type(s) for s in said] == [Lead]
    assert one.leadership.epoch == bucket.fence.epoch > int((WALL + 10_000) * 1000)


def test_a_fence_that_took_longer_than_the_lease_leads_only_after_another_renewal() -> None:
    bucket = Bucket()
    one = One("one", bucket)
    one.hold = (WriteLeaderRecord,)
    one.tick()
    fence = one.held[0]
    assert isinstance(fence, WriteLeaderRecord)
    one.mono += LEASE + 1
    one.hold = (WriteLease,)
    assert one.do(bucket.put_fence(fence)) == []
    renewal = one.held[-1]
    assert isinstance(renewal, WriteLease)
    assert [type(s) for s in one.do(bucket.write(renewal))] == [Lead]


def test_a_candidate_that_was_overtaken_while_it_fenced_does_not_lead() -> None:
    bucket = Bucket()
    slow, quick = One("slow", bucket), One("quick", bucket)
    slow.hold = (WriteLeaderRecord,)
    slow.tick()
    (fence,) = slow.held
    assert isinstance(fence, WriteLeaderRecord)
    written = bucket.put_fence(fence)
    quick.tick(LEASE + 2)
    assert quick.leadership.leading
    slow.hold = ()
    slow.tick(2.0)
    assert slow.do(written) == []
    assert not slow.leadership.leading


def test_a_leader_whose_fence_fell_steps_down() -> None:
    first, _, _ = pair()
    assert [type(s) for s in first.do(FencedOut())] == [StepDown]


def test_a_record_with_the_very_same_epoch_is_a_rivals_unless_we_wrote_it() -> None:
    for owner, leads in (("one", True), ("two", False)):
        bucket = Bucket()
        one = One("one", bucket)
        one.hold = (ReadLeaderRecord,)
        one.tick()
        one.hold = ()
        bucket.fence = LeaderRecord(coordinator_id=owner, epoch=one.leadership.epoch)
        bucket.fence_seq = 9
        said = one.do(bucket.read_fence())
        assert [type(s) for s in said] == ([Lead] if leads else [])
        assert one.leadership.leading is leads
        if leads:
            (lead,) = said
            assert isinstance(lead, Lead)
            assert lead.fence == 9, "an earlier try of ours got through"


def test_bytes_that_are_no_leader_record_are_written_over() -> None:
    bucket = Bucket()
    bucket.fence_seq = 5
    one = One("one", bucket)
    (lead,) = one.tick()
    assert isinstance(lead, Lead)
    assert lead.fence == 6


def test_a_leader_record_that_could_not_be_written_or_read_is_read_again_a_moment_later() -> None:
    for answer in (LeaderRecordNotWritten(), LeaderRecordUnread()):
        bucket = Bucket()
        one = One("one", bucket)
        one.hold = (WriteLeaderRecord,)
        one.tick()
        assert len(one.held) == 1
        assert one.do(answer) == []
        one.hold = ()
        assert [type(s) for s in one.tick(0.5)] == [Lead]


def test_a_candidate_anew_asks_for_the_leader_record_once() -> None:
    """Whose former candidacy ended when it was about to read it again."""
    one = One("one", Bucket())
    one.hold = (ReadLeaderRecord,)
    one.tick()
    one.do(LeaderRecordUnread())
    one.do(GivenUp("the jobs stream was made anew"))
    one.held.clear()
    one.tick(2 * LEASE)
    assert one.held == [ReadLeaderRecord()]


def test_a_write_that_got_through_without_an_answer_is_found_by_reading() -> None:
    bucket = Bucket()
    one = One("one", bucket)
    one.hold = (WriteLeaderRecord,)
    one.tick()
    (write,) = one.held
    assert isinstance(write, WriteLeaderRecord)
    bucket.put_fence(write)
    one.do(LeaderRecordNotWritten())
    one.hold = ()
    (lead,) = one.tick(0.5)
    assert isinstance(lead, Lead)
    assert (lead.fence, bucket.fence_seq) == (1, 1)


def test_a_leader_record_of_a_former_candidacy_is_none_of_this() -> None:
    first, _, _ = pair()
    epoch = first.leadership.epoch
    assert first.do(LeaderRecordRead(LeaderRecord(coordinator_id="x", epoch=epoch + 1), 9)) == []
    assert first.do(LeaderRecordWritten(epoch - 1, 9)) == []
    assert first.leadership.leading


def test_an_entry_that_was_removed_is_written_again_by_the_leader_that_lives() -> None:
    """A standby that took the lease at once would lead beside it, and both would take messages."""
    first, second, bucket = pair()
    epoch = first.leadership.epoch
    bucket.remove()
    together(20.0, second, first)
    assert (first.leadership.leading, second.leadership.leading) == (True, False)
    assert bucket.record is not None
    assert bucket.record.epoch == epoch


def test_an_entry_that_was_removed_from_a_dead_leader_is_taken_after_a_lease() -> None:
    _, second, bucket = pair()
    bucket.remove()
    assert second.tick(LEASE - 2.0) == []
    assert [type(said) for said in second.tick(2.0)] == [Lead]


def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    _, second, bucket = pair()
    bucket.remove(given_back=True)
    assert [type(said) for said in second.tick(1.25)] == [Lead]


def test_the_record_is_read_at_once_also_on_a_machine_that_has_just_started() -> None:
    lease = Leadership("c1", lease_s=LEASE, renew_s=RENEW)
    assert lease.handle(LeaseTick(), Now(0.0, WALL)) == [ReadLease()]
    assert lease.handle(LeaseTick(), Now(0.5, WALL)) == []
