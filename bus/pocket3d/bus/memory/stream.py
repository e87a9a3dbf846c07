"""A stream and its durable consumers in memory, judged as JetStream judges. No I/O, no clock: times come in."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..matching import SubjectIndex, is_literal, matches, transform
from ..port import Append, Conflict, Delivery, Refused, Stored

_MSG_ID = "Nats-Msg-Id"


class MemoryStream:
    """Messages under a stream configuration in the form of the JetStream API."""

    def __init__(self, config: dict[str, Any], created: float) -> None:
        self.config = config
        self.created = created
        self.last_seq = int(config.get("first_seq", 1)) - 1
        self.messages: dict[int, Stored] = {}
        self.consumers: dict[str, MemoryConsumer] = {}
        self._by_subject: dict[str, list[int]] = {}
        self._subjects = SubjectIndex()
        self._ids: dict[str, tuple[int, float]] = {}

    @property
    def name(self) -> str:
        """The stream's name."""
        return str(self.config["name"])

    def takes(self, subject: str) -> bool:
        """True if messages on `subject` are stored here."""
        return any(matches(pattern, subject) for pattern in self.config.get("subjects", ()))

    # -- reading

    def last(self, pattern: str) -> Stored | None:
        """The newest message on a filter."""
        seqs = [self._by_subject[subject][-1] for subject in self._subjects.find(pattern)]
        return self.messages[max(seqs)] if seqs else None

    def subjects(self, pattern: str) -> dict[str, int]:
        """The subjects of its messages that a filter takes, and how many there are."""
        return {subject: len(self._by_subject[subject]) for subject in self._subjects.find(pattern)}

    def from_seq(self, pattern: str, start: int, limit: int) -> list[Stored]:
        """Up to `limit` messages on a filter, from sequence `start` on, in order."""
        parts = []
        for subject in self._subjects.find(pattern):
            seqs = self._by_subject[subject]
            parts.append(seqs[bisect.bisect_left(seqs, start) :])
        return [self.messages[seq] for seq in heapq.nsmallest(limit, (seq for part in parts for seq in part))]

    # -- writing

    def stored_as(self, subject: str) -> str:
        """The subject under which a message that is published on `subject` stands here."""
        change = self.config.get("subject_transform")
        return (transform(change["src"], change["dest"], subject) if change else None) or subject

    def check(self, message: Append) -> None:
        """Judge an expectation: of what stands here, whatever the subject that was published on.

        Raises:
            Conflict: it does not hold.
        """
        if message.expect is None:
            return
        found = self.last(message.expect.subject or self.stored_as(message.subject))
        last = found.seq if found else 0
        if last != message.expect.last:
            raise Conflict(f"{message.subject}: wrong last sequence: {last} (10071)", last=last)

    def check_room(self, messages: Sequence[Append]) -> None:
        """Judge the limits of a stream that refuses what is too much.

        Raises:
            Conflict: a subject is full.
            Refused: the stream is full.
        """
        first = messages[0].subject
        keep = int(self.config.get("max_msgs_per_subject", -1))
        if self.config.get("discard_new_per_subject"):
            for message in messages:
                if 0 < keep <= len(self._by_subject.get(self.stored_as(message.subject), ())):
                    raise Conflict(f"{first}: maximum messages per subject exceeded (10077)")
        if self._full(len(messages)):
            raise Refused(f"{first}: maximum messages exceeded (10077)", code=10077)

    def append(self, message: Append, now: float) -> int:
        """Store one message; its sequence, or that of the message of which it is a duplicate.

        Raises:
            Conflict, Refused
        """
        self.expire(now)
        self.check(message)
        headers = dict(message.headers or {})
        msg_id = headers.get(_MSG_ID)
        if msg_id is not None and msg_id in self._ids:
            return self._ids[msg_id][0]
        self.check_room([message])
        seq = self.store(self.stored_as(message.subject), message.data, headers, now)
        if msg_id is not None:
            self._ids[msg_id] = (seq, now)
        return seq

    def append_batch(self, messages: Sequence[Append], now: float) -> int:
        """Store all or none; the last sequence. Every expectation is judged by what was there before.

        Raises:
            Conflict, Refused
        """
        if not self.config.get("allow_atomic"):
            raise Refused(f"{messages[0].subject}: atomic publish is disabled (10174)", code=10174)
        self.expire(now)
        for message in messages:
            if not self.takes(message.subject):
                raise Refused(f"{message.subject}: not a subject of {self.name}, as the batch's first", code=10174)
            self.check(message)
        self.check_room(messages)
        for message in messages:
            self.store(self.stored_as(message.subject), message.data, dict(message.headers or {}), now)
        return self.last_seq

    def store(self, subject: str, data: bytes, headers: Mapping[str, str], now: float) -> int:
        """Put a message at the end, and let old ones go where limits say so."""
        self.last_seq += 1
        seq = self.last_seq
        self.messages[seq] = Stored(self.name, subject, seq, bytes(data), headers, now)
        seqs = self._by_subject.setdefault(subject, [])
        if not seqs:
            self._subjects.add(subject)
        seqs.append(seq)
        keep = int(self.config.get("max_msgs_per_subject", -1))
        while 0 < keep < len(seqs):
            self.remove(seqs[0])
        most = int(self.config.get("max_msgs", -1))
        while 0 < most < len(self.messages):
            self.remove(next(iter(self.messages)))
        return seq

    def _full(self, more: int) -> bool:
        most = int(self.config.get("max_msgs", -1))
        return self.config.get("discard") == "new" and 0 < most < len(self.messages) + more

    def delete(self, seq: int) -> bool:
        """Take a message out on request; false if it is gone.

        Raises:
            Refused: the stream denies it.
        """
        if self.config.get("deny_delete"):
            raise Refused(f"delete message {seq} of {self.name}: message delete not permitted (10057)", code=10057)
        present = seq in self.messages
        self.remove(seq)
        return present

    def remove(self, seq: int) -> None:
        """Take a message out; nothing if it is gone."""
        message = self.messages.pop(seq, None)
        if message is None:
            return
        seqs = self._by_subject[message.subject]
        del seqs[bisect.bisect_left(seqs, seq)]
        if not seqs:
            del self._by_subject[message.subject]
            self._subjects.discard(message.subject)
        for consumer in self.consumers.values():
            consumer.message_gone(seq)

    def expire(self, now: float) -> None:
        """Let go what is too old: messages past max_age, ids past the duplicate window."""
        age = int(self.config.get("max_age", 0)) / 1e9
        while age and self.messages:
            first = next(iter(self.messages.values()))
            if first.time + age > now:
                break
            self.remove(first.seq)
        window = int(self.config.get("duplicate_window", 0)) / 1e9
        while self._ids:
            msg_id, (_, stored) = next(iter(self._ids.items()))
            if stored + window > now:
                break
            del self._ids[msg_id]


class MemoryConsumer:
    """A durable pull consumer with explicit acks."""

    def __init__(self, stream: MemoryStream, config: dict[str, Any]) -> None:
        self.config = config
        #: Called when there may be something to take.
        self.listeners: set[Callable[[], None]] = set()
        self._stream = stream
        self._cursor = 1
        #: Sequence -> when it is delivered again; in that order, since every delivery waits equally long.
        self._pending: dict[int, float] = {}
        self._counts: dict[int, int] = {}
        #: Acked while the stream keeps them.
        self._acked: set[int] = set()

    @property
    def _work_queue(self) -> bool:
        return self._stream.config.get("retention") == "workqueue"

    def wake(self) -> None:
        """Tell those who take from it."""
        for listener in list(self.listeners):
            listener()

    def take(self, limit: int, now: float) -> list[Delivery]:
        """Deliver up to `limit` messages: those whose ack is overdue, then new ones."""
        self._stream.expire(now)
        taken: list[Delivery] = []
        while len(taken) < limit and self._pending:
            seq, deadline = next(iter(self._pending.items()))
            if deadline > now:
                break
            del self._pending[seq]
            message = self._stream.messages.get(seq)
            if message is not None:
                taken.append(self._deliver(message, now))
        most = int(self.config.get("max_ack_pending", 1000))
        while len(taken) < limit and not 0 < most <= len(self._pending):
            room = limit - len(taken) if most <= 0 else min(limit - len(taken), most - len(self._pending))
            found = self._stream.from_seq(self._filter, self._cursor, room)
            if not found:
                break
            self._cursor = found[-1].seq + 1
            taken.extend(self._deliver(message, now) for message in found if message.seq not in self._acked)
        return taken

    @property
    def _filter(self) -> str:
        return str(self.config.get("filter_subject") or ">")

    def _deliver(self, message: Stored, now: float) -> Delivery:
        count = self._counts.get(message.seq, 0) + 1
        self._counts[message.seq] = count
        self._pending[message.seq] = now + int(self.config["ack_wait"]) / 1e9
        return Delivery(message, count)

    def next_deadline(self) -> float | None:
        """When the first un-acked message is delivered again."""
        return next(iter(self._pending.values()), None)

    def message_gone(self, seq: int) -> None:
        """A message was taken out: nobody acks it any more."""
        self._pending.pop(seq, None)
        self._counts.pop(seq, None)

    def backlog(self) -> int:
        """Messages not acked: delivered or not."""
        coming = self._stream.from_seq(self._filter, self._cursor, self._stream.last_seq)
        return len(self._pending) + sum(message.seq not in self._acked for message in coming)

    def ack(self, seq: int) -> bool:
        """Settle a message; False if it was not delivered since the consumer was made or reset."""
        if seq not in self._pending:
            return seq not in self._stream.messages or seq in self._acked
        del self._pending[seq]
        self._counts.pop(seq, None)
        if self._work_queue:
            self._stream.remove(seq)
        else:
            self._acked.add(seq)
        self.wake()
        return True

    def give_back(self, seq: int, now: float) -> None:
        """A negative ack: the message is delivered again at once."""
        if seq in self._pending:
            del self._pending[seq]
            self._pending = {seq: now, **self._pending}
            self.wake()

    def reset(self) -> None:
        """Deliver every un-acked message again, from the first, counting anew."""
        self._pending.clear()
        self._counts.clear()
        self._cursor = 1
        self.wake()

    def go_on_from(self, removed: MemoryConsumer) -> None:
        """Stand where a consumer of the same stream stood that was removed: its acks hold."""
        self._acked |= removed._acked


def overlap(one: str, other: str) -> bool:
    """True if some subject is taken by both filters."""
    if is_literal(one):
        return matches(other, one)
    if is_literal(other):
        return matches(one, other)
    left, right = one.split("."), other.split(".")
    for a, b in zip(left, right, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(left) == len(right)
