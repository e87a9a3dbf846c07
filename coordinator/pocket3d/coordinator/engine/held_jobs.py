"""Jobs whose inputs name results of other jobs: which files those are, and who waits for which result. Pure.

A job is held from the moment that it is queued until all of these files are known. What is found is remembered as long
as the job is unfinished: its awards name the objects, and they are not removed meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pocket3d.contracts.commands import StoredFile
from pocket3d.contracts.input_files import FileRef
from pocket3d.contracts.messages import Artifact

from .deadlines import Deadlines

#: Sources that a reason names.
_NAMED = 8


class JobNeeds:
    """What one unfinished job needs of other jobs."""

    __slots__ = ("cached", "files", "own_bytes", "refs", "tenant", "waited")

    def __init__(self, refs: Sequence[FileRef], own_bytes: int | None = None) -> None:
        self.refs = tuple(refs)
        #: Bytes of its files that no other job makes, None if not known.
        self.own_bytes = own_bytes
        #: By the place of the input: what was found.
        self.files: dict[str, Artifact] = {}
        #: Whose it is, while it is held; None while it is not.
        self.tenant: str | None = None
        #: A job whose result it needs had not ended, as far as was known.
        self.waited = False
        #: The ended job whose result may be its own, while that is being read.
        self.cached: str | None = None

    def missing(self) -> list[str]:
        """The jobs whose results are not known yet, in the order of the inputs."""
        return list(dict.fromkeys(ref.result for ref in self.refs if ref.result and ref.field not in self.files))


class HeldJobs:
    """All unfinished jobs that name results, and the results that are waited for."""

    def __init__(self) -> None:
        self._of: dict[str, JobNeeds] = {}
        #: Source -> the jobs that are held for it, in their order.
        self._waiting: dict[str, dict[str, None]] = {}
        #: Object -> unfinished jobs that it is an input of.
        self._in_use: Counter[str] = Counter()
        self._tenants: Counter[str] = Counter()
        #: Until when sources that nobody knows are waited for, monotonic seconds.
        self.unknown = Deadlines()
        #: Of these the result is looked for a last time.
        self.last_look: set[str] = set()
        #: Jobs that began to wait while others waited for them: there may be a ring.
        self.suspects: list[str] = []

    # -- a job

    def note(self, job_id: str, refs: Sequence[FileRef], own_bytes: int | None = None) -> None:
        """A job was read that names these results, beside files of so many bytes; None if that is not known."""
        if refs:
            self._of[job_id] = JobNeeds(refs, own_bytes)

    def forget(self, job_id: str) -> None:
        """The job is unfinished no more."""
        self.leave(job_id)
        needs = self._of.pop(job_id, None)
        for artifact in needs.files.values() if needs is not None else ():
            self._in_use[artifact.object] -= 1
            if not self._in_use[artifact.object]:
                del self._in_use[artifact.object]

    def needs(self, job_id: str) -> JobNeeds | None:
        """What a job needs, to be put back where it is read once more."""
        return self._of.get(job_id)

    def put_back(self, job_id: str, needs: JobNeeds | None) -> None:
        """The job that was forgotten is unfinished after all."""
        if needs is not None:
            self._of[job_id] = needs
            self._in_use.update(artifact.object for artifact in needs.files.values())

    def hold(self, job_id: str, tenant: str) -> list[str]:
        """Hold a job that is queued until the results of these jobs are known; none: it need not be held."""
        needs = self._of.get(job_id)
        missing = needs.missing() if needs is not None else []
        if needs is not None and missing:
            self._hold(needs, tenant)
            for source in missing:
                self._waiting.setdefault(source, {})[job_id] = None
            if job_id in self._waiting:
                self.suspects.append(job_id)
        return missing

    def hold_for_cache(self, job_id: str, tenant: str, source: str) -> None:
        """Hold a job whose files are known until it is known whether an ended job's result is its own."""
        needs = self._of.setdefault(job_id, JobNeeds(()))
        needs.cached = source
        self._hold(needs, tenant)

    def _hold(self, needs: JobNeeds, tenant: str) -> None:
        needs.tenant = tenant
        self._tenants[tenant] += 1

    def note_wait(self, job_id: str) -> None:
        """A job whose result it needs has not ended, or is not known."""
        needs = self._of.get(job_id)
        if needs is not None:
            needs.waited = True

    def leave(self, job_id: str) -> bool:
        """Hold a job no longer; false if it was not held."""
        needs = self._of.get(job_id)
        if needs is None or needs.tenant is None:
            return False
        self._tenants[needs.tenant] -= 1
        if not self._tenants[needs.tenant]:
            del self._tenants[needs.tenant]
        needs.tenant = needs.cached = None
        for source in dict.fromkeys(ref.result for ref in needs.refs if ref.result):
            self._unwait(job_id, source)
        return True

    def _unwait(self, job_id: str, source: str) -> None:
        waiting = self._waiting.get(source, {})
        waiting.pop(job_id, None)
        if not waiting:
            self._waiting.pop(source, None)
            self.unknown.forget(source)
            self.last_look.discard(source)

    def found(self, job_id: str, ref: FileRef, artifact: Artifact) -> bool:
        """One of the files is known; true if that was the last one."""
        needs = self._of[job_id]
        needs.files[ref.field] = artifact
        self._in_use[artifact.object] += 1
        missing = needs.missing()
        if ref.result and ref.result not in missing:
            self._unwait(job_id, ref.result)
        return not missing

    # -- questions

    def __len__(self) -> int:
        """Jobs that are held."""
        return sum(self._tenants.values())

    def holds(self, job_id: str) -> bool:
        """True while a job is held."""
        needs = self._of.get(job_id)
        return needs is not None and needs.tenant is not None

    def waited(self, job_id: str) -> bool:
        """True if a job had to wait for a result."""
        needs = self._of.get(job_id)
        return needs is not None and needs.waited

    def of_tenant(self, tenant: str) -> int:
        """Jobs of a tenant that are held."""
        return self._tenants[tenant]

    def sources(self, job_id: str) -> list[str]:
        """The jobs whose results a job needs and that are not known yet."""
        needs = self._of.get(job_id)
        return needs.missing() if needs is not None else []

    def refs(self, job_id: str, source: str) -> list[FileRef]:
        """The inputs of a job that name one source."""
        needs = self._of.get(job_id)
        return [ref for ref in needs.refs if ref.result == source] if needs is not None else []

    def cached(self, job_id: str) -> str | None:
        """The ended job whose result a held job may have."""
        needs = self._of.get(job_id)
        return needs.cached if needs is not None else None

    def files(self, job_id: str) -> dict[str, Artifact]:
        """The files of other jobs that a job has found, by their place."""
        needs = self._of.get(job_id)
        return needs.files if needs is not None else {}

    def total_bytes(self, job_id: str) -> int | None:
        """Bytes of all files of a job of which those of other jobs were found; None if not known."""
        needs = self._of.get(job_id)
        if needs is None or needs.own_bytes is None:
            return None
        return needs.own_bytes + sum(each.size for each in needs.files.values())

    def objects(self, job_id: str) -> dict[str, StoredFile]:
        """Where the files of other jobs lie that are inputs of a job, by their place."""
        files = self.files(job_id)
        return {field: StoredFile(bucket=each.bucket, object=each.object) for field, each in files.items()}

    def in_use(self, name: str) -> bool:
        """True if an object is an input of an unfinished job."""
        return name in self._in_use

    def awaited(self, source: str) -> bool:
        """True if a job is held for that source."""
        return source in self._waiting

    def waiting_for(self, source: str) -> list[str]:
        """The jobs that are held for a source."""
        return list(self._waiting.get(source, ()))

    def reason(self, job_id: str) -> str:
        """What a job waits for, in words."""
        cached = self.cached(job_id)
        return waits_for(self.sources(job_id)) if cached is None else f"looks whether job {cached} made the same"

    def in_ring(self, job_id: str) -> str | None:
        """A source of a held job that waits for that job itself, through others or at once; None if there is none."""
        for source in self.sources(job_id):
            seen, left = {source}, [source]
            while left:
                more = [each for each in self.sources(left.pop()) if each not in seen]
                if job_id in more:
                    return source
                seen.update(more)
                left += more
        return None

    # -- sources

    def appeared(self, source: str) -> None:
        """A job was read: it is no unknown source."""
        self.unknown.forget(source)
        self.last_look.discard(source)


def waits_for(sources: Sequence[str]) -> str:
    """The reason of a held job, in words."""
    more = f" and {len(sources) - _NAMED} more" if len(sources) > _NAMED else ""
    return f"waits for {', '.join(sources[:_NAMED])}{more}"
