"""The streams, consumers, buckets and object stores of the system, as data. `ensure` makes a server look like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pocket3d.contracts.lifecycle import PRIORITIES
from pocket3d.contracts.subjects import Subjects

from .names import kv_stream, kv_subject, object_stream, object_subjects
from .port import ConsumerName
from .stream_specs import MONITOR, Rewriting, Source
from .stream_specs import ConsumerSpec as ConsumerSpec
from .stream_specs import StreamSpec as StreamSpec
from .stream_specs import Topology as Topology

#: Of the coordinators' consumers. `nats consumer next` names no group and is refused: it would take a job and ack it,
#: and nobody would ever hear of that job again.
LEADER_GROUP = "leader"

_HOUR = 3600.0
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY


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
    #: Memory is spared the disk, and cannot be backed up: `nats account restore` stops at a stream in memory.
    progress_storage: Literal["file", "memory"] = "file"
    #: For accounts that want a limit on every stream. A full stream of events, dead letters or statuses loses its
    #: oldest; full ones of results, buckets and stores refuse.
    events_max_bytes: int = -1
    results_max_bytes: int = -1
    dead_max_bytes: int = -1
    chains_max_bytes: int = -1
    status_max_bytes: int = -1
    agents_max_bytes: int = -1
    leader_max_bytes: int = -1
    inputs_max_bytes: int = -1
    outputs_max_bytes: int = -1
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


def _monitored(bounds: Mapping[str, str]) -> dict[str, str]:
    return {f"{MONITOR}enabled": "true", **{f"{MONITOR}{key}": value for key, value in bounds.items()}}


#: Messages that no leader has read: nobody leads, or the consumer is paused. What is read and not acked is no sign: it
#: is the number of unfinished jobs.
_UNREAD = _monitored({"unprocessed-critical": "1000"})


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
            "metadata": {**self._metadata(), **self._replication(), **more.pop("monitor", {})},
        }
        return StreamSpec(name=name, subjects=subjects, description=description, **{**defaults, **more})

    def _metadata(self) -> dict[str, str]:
        return {"pocket3d.namespace": self._s.namespace}

    def _replication(self) -> dict[str, str]:
        """What `nats server check stream` is to expect of a replicated stream."""
        if self._set.replicas == 1:
            return {}
        bounds = {"peer-expect": str(self._set.replicas), "peer-lag-critical": "1000", "peer-seen-critical": "10s"}
        return _monitored(bounds)

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
                named_by_seq=True,
                # Without it nobody could look at a queue that takes no second consumer.
                allow_direct=True,
                max_msgs=settings.jobs_max_msgs,
                max_bytes=settings.jobs_max_bytes,
            ),
            self._stream(
                s.events_stream,
                (s.all_events(), s.leader_record()),
                "Each job's story, written by the leading coordinator alone",
                allow_atomic=True,
                allow_direct=True,
                max_age_s=self._story_age,
                max_bytes=settings.events_max_bytes,
                referred_to_by=s.results_stream,
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
                allow_direct=True,
                max_age_s=settings.results_max_age_s,
                max_bytes=settings.results_max_bytes,
            ),
            self._stream(
                s.dead_stream,
                (s.all_dead(),),
                "Jobs that will not be tried again, with their request and story",
                allow_direct=True,
                max_age_s=settings.dead_max_age_s,
                max_bytes=settings.dead_max_bytes,
            ),
            self._stream(
                s.chains_stream,
                (s.all_chain_events("chain"), s.all_chain_events("group")),
                "Chains and groups of jobs: their requests and their stories, written by the leading coordinator",
                allow_direct=True,
                max_age_s=self._story_age,
                max_bytes=settings.chains_max_bytes,
            ),
            self._stream(
                s.progress_stream,
                (s.all_progress(),),
                "The latest progress of each running job",
                storage=settings.progress_storage if settings.storage == "file" else "memory",
                passing=True,
                allow_direct=True,
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
                max_bytes=self._set.status_max_bytes,
                monitor=_monitored(
                    {"min-sources": "1", "max-sources": "1", "lag-critical": "1000", "seen-critical": "30s"}
                ),
                discard="old",
                allow_rollup=False,
                deny_delete=False,
            ),
            self._bucket(
                s.agents_bucket,
                "What each agent has; entries expire",
                self._set.agents_max_age_s,
                max_bytes=self._set.agents_max_bytes,
            ),
            self._bucket(
                s.leader_bucket,
                "Who leads; the entry is a lease",
                self._set.leader_lease_s,
                max_bytes=self._set.leader_max_bytes,
            ),
        )

    def objects(self) -> tuple[StreamSpec, ...]:
        s, settings = self._s, self._set
        return (
            self._store(
                s.inputs_bucket,
                "Files given with jobs, named by their sha256",
                max_age_s=settings.inputs_max_age_s,
                max_bytes=settings.inputs_max_bytes,
            ),
            self._store(
                s.outputs_bucket,
                "Files made by jobs: job, attempt token, file",
                max_age_s=self._story_age,
                max_bytes=settings.outputs_max_bytes,
                referred_to_by=s.results_stream,
            ),
        )

    def _store(self, bucket: str, description: str, **more: Any) -> StreamSpec:
        more |= {"discard": "new", "allow_direct": True, "allow_rollup": True}
        return self._stream(object_stream(bucket), object_subjects(bucket), description, **more)

    def consumers(self) -> tuple[ConsumerSpec, ...]:
        jobs = tuple(
            ConsumerSpec(
                stream=self._s.jobs_stream,
                name=coordinator_jobs(self._s, priority).name,
                filter_subject=self._s.jobs_of(priority),
                description=f"The leading coordinator's view of the jobs of priority {priority}",
                metadata=self._metadata() | _UNREAD,
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
            metadata=self._metadata() | _UNREAD,
            group=LEADER_GROUP,
        )
        return (*jobs, results)
