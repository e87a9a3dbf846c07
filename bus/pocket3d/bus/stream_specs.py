"""Streams and consumers as data, in the form in which the JetStream API takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .port import ConsumerName

#: Of metadata by which the CLI's checks know what is healthy (jsm.go). Operators may set these keys otherwise.
MONITOR = "io.nats.monitor."


def nanoseconds(seconds: float) -> int:
    """The unit of the JetStream API."""
    return round(seconds * 1e9)


@dataclass(frozen=True)
class Source:
    """Another stream whose messages the server copies in, under other subjects."""

    stream: str
    subject: str
    #: With `{{wildcard(n)}}` for the n-th `*` of `subject`.
    destination: str


@dataclass(frozen=True)
class Rewriting:
    """Messages on `source` get another subject, with `{{wildcard(n)}}` for the n-th `*` of `source`."""

    source: str
    destination: str

    def config(self) -> dict[str, str]:
        """As the JetStream API takes it."""
        return {"src": self.source, "dest": self.destination}


@dataclass(frozen=True)
class StreamSpec:
    """One stream. Limits of -1 and ages of 0 mean none; times in seconds, sizes in bytes."""

    name: str
    subjects: tuple[str, ...]
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    retention: Literal["limits", "workqueue"] = "limits"
    storage: Literal["file", "memory"] = "file"
    discard: Literal["old", "new"] = "old"
    replicas: int = 1
    max_msgs: int = -1
    max_bytes: int = -1
    max_age_s: float = 0
    max_msgs_per_subject: int = -1
    duplicate_window_s: float = 120
    allow_atomic: bool = False
    allow_direct: bool = False
    allow_rollup: bool = False
    deny_delete: bool = False
    sources: tuple[Source, ...] = ()
    #: What it holds passes soon, and nothing depends on it: it is made anew where it cannot be changed.
    passing: bool = False
    #: Its sequences name messages elsewhere: where it was removed and is made again, they go on above the former ones.
    named_by_seq: bool = False
    #: A stream whose messages refer to these: they are to be kept at least as long.
    referred_to_by: str | None = None
    #: Under which subject a message is stored.
    transform: Rewriting | None = None
    #: Under which subject a message is sent to core subscribers once it is stored.
    republish: Rewriting | None = None
    #: A subject that has `max_msgs_per_subject` takes no further message.
    discard_new_per_subject: bool = False

    def config_again(self, wall: float) -> dict[str, Any]:
        """The configuration for a stream that was there before. Nobody may know any more how far it had counted, so it
        goes on at the time in milliseconds, Unix: no stream has held so many messages.
        """
        config = self.config()
        return {**config, "first_seq": int(wall * 1000)} if self.named_by_seq else config

    def config(self) -> dict[str, Any]:
        """The whole configuration as the JetStream API takes it."""
        window = min(self.duplicate_window_s, self.max_age_s) if self.max_age_s else self.duplicate_window_s
        config: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "metadata": dict(self.metadata),
            "retention": self.retention,
            "storage": self.storage,
            "discard": self.discard,
            "num_replicas": self.replicas,
            "max_consumers": -1,
            "max_msgs": self.max_msgs,
            "max_bytes": self.max_bytes,
            "max_age": nanoseconds(self.max_age_s),
            "max_msgs_per_subject": self.max_msgs_per_subject,
            "max_msg_size": -1,
            "duplicate_window": nanoseconds(window),
            "allow_atomic": self.allow_atomic,
            "allow_direct": self.allow_direct,
            "allow_rollup_hdrs": self.allow_rollup,
            "deny_delete": self.deny_delete,
        }
        if self.subjects:
            config["subjects"] = list(self.subjects)
        if self.transform is not None:
            config["subject_transform"] = self.transform.config()
        if self.republish is not None:
            config["republish"] = self.republish.config()
        if self.discard_new_per_subject:
            config["discard_new_per_subject"] = True
        if self.sources:
            config["sources"] = [
                {"name": source.stream, "subject_transforms": [{"src": source.subject, "dest": source.destination}]}
                for source in self.sources
            ]
        return config


@dataclass(frozen=True)
class ConsumerSpec:
    """One durable pull consumer with explicit acks. `ack_wait_s`: an un-acked message comes again after that long."""

    stream: str
    name: str
    filter_subject: str
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    ack_wait_s: float = 60
    max_ack_pending: int = -1
    max_deliver: int = -1
    #: Pulls must name this group; all that do share the messages.
    group: str | None = None

    @property
    def consumer(self) -> ConsumerName:
        """Its name for `Bus.consume`."""
        return ConsumerName(self.stream, self.name, self.group)

    def config(self) -> dict[str, Any]:
        """The whole configuration as the JetStream API takes it."""
        config: dict[str, Any] = {
            "name": self.name,
            "durable_name": self.name,
            "description": self.description,
            "metadata": dict(self.metadata),
            "filter_subject": self.filter_subject,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "ack_wait": nanoseconds(self.ack_wait_s),
            "max_ack_pending": self.max_ack_pending,
            "max_deliver": self.max_deliver,
        }
        if self.group is not None:
            config |= {"priority_groups": [self.group], "priority_policy": "overflow"}
        return config


@dataclass(frozen=True)
class Topology:
    """What `ensure` makes, in this order: a source comes before the stream that reads it."""

    streams: tuple[StreamSpec, ...] = ()
    consumers: tuple[ConsumerSpec, ...] = ()
