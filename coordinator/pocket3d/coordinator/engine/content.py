"""What makes two requests ask for the same: the feature, the inputs by content, the variant. Pure.

Inputs are compared as JSON, nulls left out; files by their SHA-256 and their suffix, wherever they come from. Whose job
it is, how long it may take and what memory it asks for make no difference. A seed is an input like any other: two
requests without one are alike, whatever the adapter draws.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from pocket3d.contracts.features import canonical
from pocket3d.contracts.input_files import FileRef, file_refs, is_file_key
from pocket3d.contracts.jobs import Job
from pocket3d.contracts.messages import Artifact

_BY_DIGEST = re.compile(r"sha256-([0-9a-f]{64})")
_encoder = msgspec.json.Encoder(order="deterministic")


class _File(NamedTuple):
    sha256: str
    suffix: str


class Content(NamedTuple):
    """A request, as far as it is known before the files of other jobs are."""

    feature: str
    variant: str | None
    #: All inputs that are no files.
    values: dict[str, Any]
    #: By their places.
    files: dict[str, _File]

    def key(self, made: Mapping[str, Artifact]) -> bytes:
        """16 bytes that stand for it; `made` has the files of other jobs, by their places."""
        of_jobs = {field: _File(each.sha256, _suffix(each.name)) for field, each in made.items()}
        whole = (self.feature, self.variant, self.values, {**self.files, **of_jobs})
        return hashlib.sha256(_encoder.encode(whole)).digest()[:16]


def content_of(feature: str, job: Job) -> Content | None:
    """What a well-shaped job asks for; None where it names an uploaded file whose content nobody knows."""
    files: dict[str, _File] = {}
    for ref in file_refs(job.inputs):
        if ref.result is not None:
            continue
        sha256 = _sha256_of(ref)
        if sha256 is None:
            return None
        files[ref.field] = _File(sha256, _suffix(ref.filename or ""))
    values = {key: value for key, value in job.inputs.items() if value is not None and not is_file_key(key)}
    return Content(canonical(feature), job.wanted_variant, values, files)


def _sha256_of(ref: FileRef) -> str | None:
    if ref.data is not None:
        return hashlib.sha256(ref.data).hexdigest()
    named = _BY_DIGEST.fullmatch(ref.artifact or "")
    return named[1] if named is not None else None


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
