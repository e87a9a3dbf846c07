"""The streams, consumers, buckets and object stores of the system, as data. `ensure` makes a server look like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.contracts.subjects import Subjects

from .names import kv_stream, kv_subject, object_stream, object_subjects
from .port import ConsumerName

#: Of the coordinators' consumers. `nats consumer next` names no group and is refused: it would take a job and ack it,
#: and nobody would ever hear of that job again.
LEADER_GROUP = "leader"

_HOUR = 3600.0
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY


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
    #: Under which subject a message is stored.
    transform: Rewriting | None = None
    #: Under which subject a message is sent to core subscribers once it is stored.
    republish: Rewriting | None = None
    #: A subject that has `max_msgs_per_subject` takes no further message.
    discard_new_per_subject: bool = False

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


@dataclass(frozen=True)
class TopologySettings:
    """What differs between a laptop and a cluster. Times in seconds, sizes in bytes, -1 for no limit."""

    #: 1 on a laptop, 3 on a cluster.
    replicas: int = 1
    storage: Literal["file", "memory"] = "file"
    #: Unfinished jobs; further ones are refused, producers are told.
    jobs_max_msgs: int = 1_000_000
    jobs_max_bytes: int = -1
    #: When an un-acked job is delivered again although the leader has not changed.
    jobs_ack_wait_s: float = _HOUR
    #: How long results are kept: producers and subscribers may come that late.
    results_max_age_s: float = 4 * _WEEK
    #: How much longer than results events and outputs are kept. A job's `queued` event, which makes its id unique, is
    #: older than its result by the job's whole life.
    story_margin_s: float = _WEEK
    progress_max_age_s: float = _HOUR
    progress_max_bytes: int = 64 << 20
    dead_max_age_s: float = 12 * _WEEK
    inputs_max_age_s: float = 2 * _WEEK
    agents_max_age_s: float = _HOUR
    #: The leader's lease: its entry leaves the bucket when it was not renewed for so long.
    leader_lease_s: float = 15
    #: How long JetStream remembers `Nats-Msg-Id`; best effort, it forgets at a restart.
    duplicate_window_s: float = 120

    def __post_init__(self) -> None:
        if self.replicas not in (1, 3, 5):
            raise ValueError(f"replicas {self.replicas}: want 1, 3 or 5")
        for name in ("jobs_ack_wait_s", "results_max_age_s", "story_margin_s", "leader_lease_s", "inputs_max_age_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: want more than 0 seconds")


def coordinator_jobs(subjects: Subjects, priority: str) -> ConsumerName:
    """The consumer by which the leading coordinator reads the jobs of one priority."""
    return ConsumerName(subjects.jobs_stream, f"coordinator-{priority}", LEADER_GROUP)


def coordinator_results(subjects: Subjects) -> ConsumerName:
    """The consumer by which the leading coordinator learns of results."""
    return ConsumerName(subjects.results_stream, "coordinator", LEADER_GROUP)


def build(subjects: Subjects, settings: TopologySettings = TopologySettings()) -> Topology:
    """All that the system needs on a server."""
    made = _Builder(subjects, settings)
    return Topology(
        streams=(*made.streams(), *made.buckets(), *made.objects()),
        consumers=made.consumers(),
    )


class _Builder:
    def __init__(self, subjects: Subjects, settings: TopologySettings) -> None:
        self._s = subjects
        self._set = settings

    def _stream(self, name: str, subjects: tuple[str, ...], description: str, **more: Any) -> StreamSpec:
        defaults: dict[str, Any] = {
            "storage": self._set.storage,
            "replicas": self._set.replicas,
            "duplicate_window_s": self._set.duplicate_window_s,
            "metadata": self._metadata(),
        }
        return StreamSpec(name=name, subjects=subjects, description=description, **{**defaults, **more})

    def _metadata(self) -> dict[str, str]:
        return {"pocket3d.namespace": self._s.namespace}

    @property
    def _story_age(self) -> float:
        return self._set.results_max_age_s + self._set.story_margin_s

    def streams(self) -> tuple[StreamSpec, ...]:
        s, settings = self._s, self._set
        return (
            self._stream(
                s.jobs_stream,
                tuple(s.all_jobs()),
                "Unfinished jobs; a job leaves when its result is stored",
                retention="workqueue",
                discard="new",
                max_msgs=settings.jobs_max_msgs,
                max_bytes=settings.jobs_max_bytes,
            ),
            self._stream(
                s.events_stream,
                (s.all_events(), s.leader_record()),
                "Each job's story, written by the leading coordinator alone",
                allow_atomic=True,
                max_age_s=self._story_age,
            ),
            self._stream(
                s.results_stream,
                (s.all_proposals(),),
                "One terminal message per job; the first that is proposed",
                # Core subscribers hear what was stored, once, and nothing that was refused.
                transform=Rewriting(s.all_proposals(), s.result("{{wildcard(1)}}", "{{wildcard(2)}}")),
                republish=Rewriting(s.all_results(), s.result("{{wildcard(1)}}", "{{wildcard(2)}}")),
                # One message for each feature and id, whoever publishes; for an id over all features by expectation.
                discard="new",
                max_msgs_per_subject=1,
                discard_new_per_subject=True,
                max_age_s=settings.results_max_age_s,
            ),
            self._stream(
                s.dead_stream,
                (s.all_dead(),),
                "Jobs that will not be tried again, with their request and story",
                max_age_s=settings.dead_max_age_s,
            ),
            self._stream(
                s.progress_stream,
                (s.all_progress(),),
                "The latest progress of each running job",
                storage="memory",
                max_msgs_per_subject=1,
                max_age_s=settings.progress_max_age_s,
                max_bytes=settings.progress_max_bytes,
            ),
        )

    def _bucket(self, bucket: str, description: str, max_age_s: float, **more: Any) -> StreamSpec:
        settings: dict[str, Any] = {
            "max_msgs_per_subject": 1,
            "discard": "new",
            "allow_direct": True,
            "allow_rollup": True,
            "deny_delete": True,
            "max_age_s": max_age_s,
        }
        own = (kv_subject(bucket, ">"),)
        subjects = more.pop("subjects", own)
        return self._stream(kv_stream(bucket), subjects, description, **{**settings, **more})

    def buckets(self) -> tuple[StreamSpec, ...]:
        s = self._s
        # No subjects, no rollup, no writer: the server alone fills it from the events. Old entries make room.
        projection = Source(s.events_stream, s.all_events(), kv_subject(s.status_bucket, "{{wildcard(2)}}"))
        return (
            self._bucket(
                s.status_bucket,
                "Where each job stands; a projection of the events made by the server, for eyes",
                self._set.results_max_age_s,
                subjects=(),
                sources=(projection,),
                discard="old",
                allow_rollup=False,
                deny_delete=False,
            ),
            self._bucket(s.agents_bucket, "What each agent has; entries expire", self._set.agents_max_age_s),
            self._bucket(s.leader_bucket, "Who leads; the entry is a lease", self._set.leader_lease_s),
        )

    def objects(self) -> tuple[StreamSpec, ...]:
        return tuple(
            self._stream(
                object_stream(bucket),
                object_subjects(bucket),
                description,
                discard="new",
                allow_direct=True,
                allow_rollup=True,
                max_age_s=age,
            )
            for bucket, description, age in (
                (self._s.inputs_bucket, "Files given with jobs, named by their sha256", self._set.inputs_max_age_s),
                (self._s.outputs_bucket, "Files made by jobs: job, attempt token, file", self._story_age),
            )
        )

    def consumers(self) -> tuple[ConsumerSpec, ...]:
        jobs = tuple(
            ConsumerSpec(
                stream=self._s.jobs_stream,
                name=coordinator_jobs(self._s, priority).name,
                filter_subject=self._s.jobs_of(priority),
                description=f"The leading coordinator's view of the jobs of priority {priority}",
                metadata=self._metadata(),
                # Without this a thousand jobs that fit nowhere would stop their priority for good.
                max_ack_pending=-1,
                ack_wait_s=self._set.jobs_ack_wait_s,
                group=LEADER_GROUP,
            )
            for priority in PRIORITIES
        )
        results = ConsumerSpec(
            stream=self._s.results_stream,
            name=coordinator_results(self._s).name,
            filter_subject=self._s.all_results(),
            description="Results that the leading coordinator has still to act on",
            metadata=self._metadata(),
            group=LEADER_GROUP,
        )
        return (*jobs, results)
