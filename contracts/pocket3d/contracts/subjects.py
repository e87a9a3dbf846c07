"""Every subject, stream and bucket name of the system, built and parsed here and nowhere else."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from .lifecycle import PRIORITIES

#: job_id: one subject token.
JOB_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: agent_id: one subject token. Dots, wildcards and blanks would change the subject.
AGENT_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
ADAPTER_ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
NAMESPACE_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")
TENANT_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: chain_id and group_id: one subject token, with room behind it for a step's name in the id of its job.
CHAIN_ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,40}")

#: What is submitted as one: several jobs that take files of one another, or many that do not.
ChainKind = Literal["chain", "group"]


class JobSubject(NamedTuple):
    """What a subject `p3d.jobs.<priority>.<feature>` says."""

    priority: str
    feature: str


class StorySubject(NamedTuple):
    """What `p3d.events.<feature>.<job_id>.<event>`, `p3d.results.<feature>.<job_id>` and the like say."""

    feature: str
    job_id: str
    event: str | None = None


class ChainSubject(NamedTuple):
    """What `p3d.chains.<chain_id>.<event>` and `p3d.groups.<group_id>.<event>` say."""

    kind: ChainKind
    name: str
    event: str


class Subjects:
    """The names under one namespace: first token of all subjects and, in capitals, first part of streams and buckets.

    Raises:
        ValueError: the namespace is not one lower-case token.
    """

    def __init__(self, namespace: str = "p3d") -> None:
        if not NAMESPACE_PATTERN.fullmatch(namespace):
            raise ValueError(f"namespace {namespace!r}: want a lower-case letter, then letters, digits or _")
        self.namespace = namespace
        upper = namespace.upper()
        self.jobs_stream = f"{upper}_JOBS"
        self.events_stream = f"{upper}_EVENTS"
        self.progress_stream = f"{upper}_PROGRESS"
        self.results_stream = f"{upper}_RESULTS"
        self.dead_stream = f"{upper}_DEAD"
        self.chains_stream = f"{upper}_CHAINS"
        self.status_bucket = f"{upper}_STATUS"
        self.agents_bucket = f"{upper}_AGENTS"
        self.leader_bucket = f"{upper}_LEADER"
        self.inputs_bucket = f"{upper}_INPUTS"
        self.outputs_bucket = f"{upper}_OUTPUTS"
        #: Names of the NATS micro services.
        self.api_service = f"{namespace}-api"
        self.agent_service = f"{namespace}-agent"
        self.coordinator_service = f"{namespace}-coordinator"

    # p3d.jobs.<priority>.<feature>
    def job(self, priority: str, feature: str) -> str:
        """Where a producer publishes a job."""
        return f"{self.namespace}.jobs.{priority}.{feature}"

    def jobs_of(self, priority: str) -> str:
        """All jobs of one priority."""
        return f"{self.namespace}.jobs.{priority}.*"

    def all_jobs(self) -> list[str]:
        """The subjects of the jobs stream, highest priority first."""
        return [self.jobs_of(p) for p in PRIORITIES]

    def parse_job(self, subject: str) -> JobSubject:
        """Priority and feature of a job's subject.

        Raises:
            ValueError: not a job's subject.
        """
        tokens = subject.split(".")
        if len(tokens) != 4 or tokens[:2] != [self.namespace, "jobs"]:
            raise ValueError(f"{subject!r} is not {self.job('<priority>', '<feature>')}")
        return JobSubject(tokens[2], tokens[3])

    # p3d.events.<feature>.<job_id>.<event>
    def event(self, feature: str, job_id: str, event: str) -> str:
        """Where the coordinator tells one step of a job's story."""
        return f"{self.namespace}.events.{feature}.{job_id}.{event}"

    def events_of(self, job_id: str, feature: str = "*") -> str:
        """All events of one job; also the filter that makes a job id unique over all features."""
        return f"{self.namespace}.events.{feature}.{job_id}.*"

    def all_events(self) -> str:
        """All events of all jobs (the leader record is not one)."""
        return f"{self.namespace}.events.*.*.*"

    def leader_record(self) -> str:
        """`p3d.events.leader`: the record that fences event batches, kept in the events stream by CAS."""
        return f"{self.namespace}.events.leader"

    # p3d.progress.<feature>.<job_id>
    def progress(self, feature: str, job_id: str) -> str:
        """Where an agent tells how far a job is."""
        return f"{self.namespace}.progress.{feature}.{job_id}"

    def progress_of(self, job_id: str) -> str:
        """Progress of one job, whatever its feature."""
        return f"{self.namespace}.progress.*.{job_id}"

    def all_progress(self) -> str:
        """Progress of all jobs."""
        return f"{self.namespace}.progress.*.*"

    # p3d.results.<feature>.<job_id>
    def result(self, feature: str, job_id: str) -> str:
        """Where a job's one result goes."""
        return f"{self.namespace}.results.{feature}.{job_id}"

    def result_of(self, job_id: str) -> str:
        """The result of one job whatever its feature; the filter of the CAS that admits one."""
        return f"{self.namespace}.results.*.{job_id}"

    def results_of_feature(self, feature: str) -> str:
        """All results of one feature."""
        return f"{self.namespace}.results.{feature}.*"

    def all_results(self) -> str:
        """All results."""
        return f"{self.namespace}.results.*.*"

    # p3d.propose.<feature>.<job_id>
    def proposal(self, feature: str, job_id: str) -> str:
        """Where a result is proposed: what the server stores of it stands under `result`."""
        return f"{self.namespace}.propose.{feature}.{job_id}"

    def all_proposals(self) -> str:
        """All proposals; what the results stream takes."""
        return f"{self.namespace}.propose.*.*"

    # p3d.dead.<feature>.<job_id>
    def dead(self, feature: str, job_id: str) -> str:
        """Where a job goes that will not be tried again."""
        return f"{self.namespace}.dead.{feature}.{job_id}"

    def all_dead(self) -> str:
        """All dead letters."""
        return f"{self.namespace}.dead.*.*"

    def parse_story(self, subject: str) -> StorySubject:
        """Feature, job id and event of an event, progress, result or dead letter.

        Raises:
            ValueError: none of these.
        """
        tokens = subject.split(".")
        kind = tokens[1] if len(tokens) > 1 else ""
        if tokens[0] == self.namespace:
            if kind == "events" and len(tokens) == 5:
                return StorySubject(tokens[2], tokens[3], tokens[4])
            if kind in ("progress", "results", "dead") and len(tokens) == 4:
                return StorySubject(tokens[2], tokens[3])
        raise ValueError(f"{subject!r} is not an event, progress, result or dead letter of {self.namespace!r}")

    # p3d.chains.<chain_id>.<event>, p3d.groups.<group_id>.<event>
    def chain_event(self, kind: ChainKind, name: str, event: str) -> str:
        """Where the leading coordinator tells one step of the story of a chain or a group."""
        return f"{self.namespace}.{kind}s.{name}.{event}"

    def chain_events_of(self, kind: ChainKind, name: str) -> str:
        """All events of one chain or group; also the filter of the CAS by which each is stored."""
        return self.chain_event(kind, name, "*")

    def all_chain_events(self, kind: ChainKind, event: str = "*") -> str:
        """All events of all chains, or of all groups."""
        return self.chain_event(kind, "*", event)

    def parse_chain(self, subject: str) -> ChainSubject:
        """Kind, id and event of an event of a chain or a group.

        Raises:
            ValueError: not such an event.
        """
        tokens = subject.split(".")
        kinds: dict[str, ChainKind] = {"chains": "chain", "groups": "group"}
        if len(tokens) != 4 or tokens[0] != self.namespace or tokens[1] not in kinds:
            raise ValueError(f"{subject!r} is not an event of a chain or a group of {self.namespace!r}")
        return ChainSubject(kinds[tokens[1]], tokens[2], tokens[3])

    # p3d.agents.<agent_id>.advert | cmd | outcome | ctl.<verb>
    def advert(self, agent_id: str) -> str:
        """Where an agent advertises itself; the message is also its lease."""
        return f"{self.namespace}.agents.{agent_id}.advert"

    def all_adverts(self) -> str:
        """Adverts of all agents."""
        return f"{self.namespace}.agents.*.advert"

    def command(self, agent_id: str) -> str:
        """Where the coordinator commands an agent; one subject, so that a cancel cannot overtake its award."""
        return f"{self.namespace}.agents.{agent_id}.cmd"

    def outcome(self, agent_id: str) -> str:
        """Where an agent reports what became of an attempt (request and reply)."""
        return f"{self.namespace}.agents.{agent_id}.outcome"

    def all_outcomes(self) -> str:
        """Outcomes of all agents."""
        return f"{self.namespace}.agents.*.outcome"

    def agent_control(self, agent_id: str, verb: str) -> str:
        """An operator's request to one agent: status, drain, undrain, load, unload."""
        return f"{self.namespace}.agents.{agent_id}.ctl.{verb}"

    def agent_of(self, subject: str) -> str:
        """The agent id in any subject under `p3d.agents`.

        Raises:
            ValueError: not such a subject.
        """
        tokens = subject.split(".")
        if len(tokens) < 4 or tokens[:2] != [self.namespace, "agents"]:
            raise ValueError(f"{subject!r} is not under {self.namespace}.agents")
        return tokens[2]

    # p3d.bids.<coordinator_id>
    def bids(self, coordinator_id: str) -> str:
        """Where agents answer one coordinator's calls."""
        return f"{self.namespace}.bids.{coordinator_id}"

    # p3d.coordinators.<coordinator_id>.ctl.<verb>
    def coordinator_control(self, coordinator_id: str, verb: str) -> str:
        """An operator's request to one coordinator, whether it leads or stands by: status."""
        return f"{self.namespace}.coordinators.{coordinator_id}.ctl.{verb}"

    # p3d.coordinators.<coordinator_id>.ping
    def coordinator_ping(self, coordinator_id: str) -> str:
        """Where one coordinator, leading or not, answers with an empty message while it is connected."""
        return f"{self.namespace}.coordinators.{coordinator_id}.ping"

    # p3d.api.<verb>
    def api(self, verb: str) -> str:
        """A request to the leading coordinator: submit, status, list, cancel, explain, features, agents."""
        return f"{self.namespace}.api.{verb}"
