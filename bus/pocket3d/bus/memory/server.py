"""What several `MemoryBus` connections share: subscriptions, streams, consumers and objects, on one clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from ..jetstream.widening import widen
from ..matching import is_literal, matches, transform
from ..names import object_stream
from ..port import Append, Conflict, ConsumerName, ListedObject, Msg, NoResponders, ObjectInfo, Refused
from ..topology import Topology
from .clock import Clock, FakeClock
from .stream import MemoryConsumer, MemoryStream, overlap

#: Subjects whose streams are remembered.
_OWNERS = 4096
#: JetStream's code where a plain publish, which expects nothing, meets a subject that takes no further message.
_FULL_SUBJECT = 10077


class Receiver(Protocol):
    """A subscription as the server sees it."""

    subject: str
    queue: str

    @property
    def listening(self) -> bool:
        """False while its connection is down."""

    def deliver(self, msg: Msg) -> None:
        """Take a message."""


class MemoryServer:
    """A NATS server for tests: everything happens at once, time passes only on its clock, by default a `FakeClock`.

    `max_payload` is the largest message, headers included, bytes.
    """

    def __init__(self, clock: Clock | None = None, *, max_payload: int = 1 << 20) -> None:
        self.clock: Clock = FakeClock() if clock is None else clock
        self.max_payload = max_payload
        self.streams: dict[str, MemoryStream] = {}
        #: Bucket -> name -> bytes and what is known of them.
        self.objects: dict[str, dict[str, tuple[bytes, ObjectInfo]]] = {}
        #: Bucket and name -> in which order they were stored.
        self.object_seqs: dict[tuple[str, str], int] = {}
        #: Bucket -> upload -> its chunks, of uploads that have not ended, and may have been broken off.
        self.half_uploads: dict[str, dict[str, int]] = {}
        #: For tests: an append or request on a subject for which this is true is carried out, but its answer is lost.
        self.lose_answer: Callable[[str], bool] | None = None
        self._literal: dict[str, list[Receiver]] = {}
        self._wild: list[Receiver] = []
        #: Subject -> the stream that takes it, as found before.
        self._owners: dict[str, MemoryStream | None] = {}
        self._turn = itertools.count()
        self._numbers = itertools.count(1)

    # -- core messages

    def number(self) -> int:
        """A number nobody else has."""
        return next(self._numbers)

    def listen(self, receiver: Receiver) -> None:
        """Add a subscription."""
        if is_literal(receiver.subject):
            self._literal.setdefault(receiver.subject, []).append(receiver)
        else:
            self._wild.append(receiver)

    def unlisten(self, receiver: Receiver) -> None:
        """Remove a subscription; nothing if it is not there."""
        group = self._literal.get(receiver.subject, []) if is_literal(receiver.subject) else self._wild
        if receiver in group:
            group.remove(receiver)
        if not group:
            self._literal.pop(receiver.subject, None)

    def publish(self, msg: Msg) -> bool:
        """Hand a message to whoever listens, one of each queue group, and to the stream that takes it.

        Returns:
            True if anybody took it.
        """
        taken = self._hand_out(msg)
        stream = self.stream_for(msg.subject)
        if stream is not None:
            taken = True
            self._store_published(stream, msg)
        return taken

    def _hand_out(self, msg: Msg) -> bool:
        """Hand a message to whoever listens; true if anybody does."""
        taken = False
        groups: dict[tuple[str, str], list[Receiver]] = {}
        for receiver in [*self._literal.get(msg.subject, ()), *self._wild]:
            if not receiver.listening or not matches(receiver.subject, msg.subject):
                continue
            if receiver.queue:
                groups.setdefault((receiver.subject, receiver.queue), []).append(receiver)
            else:
                taken = True
                receiver.deliver(msg)
        for group in groups.values():
            taken = True
            group[next(self._turn) % len(group)].deliver(msg)
        return taken

    def _store_published(self, stream: MemoryStream, msg: Msg) -> None:
        """A plain publish to a stream's subject: stored, and answered with what JetStream answers."""
        answer: dict[str, Any]
        try:
            answer = {"stream": stream.name, "seq": self._store(stream, Append(msg.subject, msg.data, msg.headers))}
        except (Refused, Conflict) as error:
            code = error.code if isinstance(error, Refused) else _FULL_SUBJECT
            answer = {"stream": stream.name, "seq": 0, "error": {"code": 400, "err_code": code}}
            answer["error"]["description"] = str(error)
        if msg.reply:
            self.publish(Msg(msg.reply, msgspec.json.encode(answer), {}, ""))

    # -- streams

    def stream(self, name: str) -> MemoryStream:
        """A stream, with what is too old taken out.

        Raises:
            Refused: no such stream.
        """
        stream = self.streams.get(name)
        if stream is None:
            raise Refused(f"stream {name}: stream not found (10059)", code=10059)
        stream.expire(self.clock.time())
        return stream

    def stream_for(self, subject: str) -> MemoryStream | None:
        """The stream that takes a subject."""
        if subject not in self._owners:
            if len(self._owners) >= _OWNERS:
                self._owners.clear()
            self._owners[subject] = next((s for s in self.streams.values() if s.takes(subject)), None)
        return self._owners[subject]

    def _owner(self, subject: str) -> MemoryStream:
        stream = self.stream_for(subject)
        if stream is None:
            raise NoResponders(f"nobody listens on {subject}")
        return stream

    def append(self, message: Append) -> int:
        """Store one message; whoever listens on its subject gets it too. Errors as `Bus.append`."""
        stream = self._owner(message.subject)
        self._hand_out(Msg(message.subject, message.data, dict(message.headers or {}), ""))
        return self._store(stream, message)

    def _store(self, stream: MemoryStream, message: Append) -> int:
        before = stream.last_seq
        seq = stream.append(message, self.clock.time())
        self._spread(stream, before)
        return seq

    def append_batch(self, messages: Sequence[Append]) -> int:
        """Store all or none; whoever listens on their subjects gets them too. Errors as `Bus.append_batch`."""
        stream = self._owner(messages[0].subject)
        for message in messages:
            self._hand_out(Msg(message.subject, message.data, dict(message.headers or {}), ""))
        before = stream.last_seq
        seq = stream.append_batch(messages, self.clock.time())
        self._spread(stream, before)
        return seq

    def _spread(self, stream: MemoryStream, before: int) -> None:
        """Tell core subscribers what is new, copy it into the streams that source it, and wake consumers."""
        self._republish(stream, before)
        for target in self.streams.values():
            self._copy(stream, target, before)
        for consumer in stream.consumers.values():
            consumer.wake()

    def _republish(self, stream: MemoryStream, after: int) -> None:
        change = stream.config.get("republish")
        if change is None:
            return
        for message in stream.from_seq(change["src"], after + 1, stream.last_seq):
            subject = transform(change["src"], change["dest"], message.subject)
            if subject is not None:
                stamp = {"Nats-Stream": stream.name, "Nats-Subject": message.subject, "Nats-Sequence": str(message.seq)}
                self._hand_out(Msg(subject, message.data, {**message.headers, **stamp}, ""))

    def _copy(self, stream: MemoryStream, target: MemoryStream, after: int) -> None:
        for source in target.config.get("sources", ()):
            if source["name"] != stream.name:
                continue
            change = source["subject_transforms"][0]
            for message in stream.from_seq(change["src"], after + 1, stream.last_seq):
                subject = transform(change["src"], change["dest"], message.subject)
                if subject is not None:
                    target.store(subject, message.data, message.headers, message.time)

    # -- consumers

    def consumer(self, name: ConsumerName) -> MemoryConsumer:
        """A durable consumer.

        Raises:
            Refused: no such stream or consumer.
        """
        consumer = self.stream(name.stream).consumers.get(name.name)
        if consumer is None:
            raise Refused(f"consumer {name.name} on {name.stream}: consumer not found (10014)", code=10014)
        return consumer

    def remove_consumer(self, name: ConsumerName) -> None:
        """As an operator does it behind the system's back."""
        removed = self.stream(name.stream).consumers.pop(name.name)
        removed.wake()

    def remove_stream(self, name: str) -> None:
        """As an operator does it behind the system's back."""
        del self.streams[name]
        self._owners.clear()

    # -- topology

    def ensure(self, topology: Topology) -> list[str]:
        """As `Bus.ensure`."""
        self._owners.clear()
        left: list[str] = []
        absent = [spec.name for spec in topology.streams if spec.name not in self.streams]
        again = 0 < len(absent) < len(topology.streams)
        for spec in topology.streams:
            present = self.streams.get(spec.name)
            if present is not None and spec.passing and (present.config["storage"], spec.storage) == ("memory", "file"):
                del self.streams[spec.name]
                present = None
            if present is None:
                self._create_stream(spec.config_again(self.clock.time()) if again else spec.config())
                continue
            widened = widen(f"stream {spec.name}", present.config, spec.config())
            present.config = widened.config or present.config
            left += widened.left
        for wanted in topology.consumers:
            stream = self.stream(wanted.stream)
            have = stream.consumers.get(wanted.name)
            if have is None:
                self._create_consumer(stream, wanted.config())
                continue
            widened = widen(f"consumer {wanted.name} on {wanted.stream}", have.config, wanted.config())
            have.config = widened.config or have.config
            left += widened.left
        return left

    def _create_stream(self, config: dict[str, Any]) -> None:
        for other in self.streams.values():
            for subject in config.get("subjects", ()):
                if any(overlap(subject, taken) for taken in other.config.get("subjects", ())):
                    raise Refused(f"create stream {config['name']}: subjects overlap (10065)", code=10065)
        stream = MemoryStream(config, self.clock.time())
        for source in config.get("sources", ()):
            if source["name"] in self.streams:
                self._copy(self.streams[source["name"]], stream, 0)
        self.streams[stream.name] = stream

    def _create_consumer(self, stream: MemoryStream, config: dict[str, Any]) -> None:
        if stream.config.get("retention") == "workqueue":
            for other in stream.consumers.values():
                if overlap(str(other.config.get("filter_subject") or ">"), config.get("filter_subject") or ">"):
                    raise Refused(f"create consumer {config['name']}: filtered consumer not unique (10100)", code=10100)
        stream.consumers[config["name"]] = MemoryConsumer(stream, config)

    # -- objects

    def bucket(self, name: str) -> dict[str, tuple[bytes, ObjectInfo]]:
        """The objects of a store, those past its age taken out.

        Raises:
            Refused: no such store.
        """
        age = int(self.stream(object_stream(name)).config.get("max_age", 0)) / 1e9
        objects = self.objects.setdefault(name, {})
        if age:
            now = self.clock.time()
            for old in [key for key, (_, info) in objects.items() if info.stored_at + age <= now]:
                del objects[old]
        return objects

    def listed(self, name: str, start: int) -> list[ListedObject]:
        """The objects of a store from one place in its list on, in the list's order."""
        found = [
            ListedObject(key, self.object_seqs[name, key], f"upload-{self.object_seqs[name, key]}", info.stored_at)
            for key, (_, info) in self.bucket(name).items()
        ]
        return sorted((each for each in found if each.seq >= start), key=lambda each: each.seq)

    def past_half_age(self, info: ObjectInfo) -> bool:
        """True if an object has been kept for more than half the time that its store keeps it."""
        age = int(self.stream(object_stream(info.bucket)).config.get("max_age", 0)) / 1e9
        return bool(age) and info.stored_at + age / 2 < self.clock.time()

    def answers_lost(self, subject: str) -> bool:
        """True if a test wants the answer on this subject lost."""
        return self.lose_answer is not None and self.lose_answer(subject)
