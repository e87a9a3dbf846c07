"""Which adapters of the fleet refuse a job's parameters or forbid its use, and when that is all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pocket3d.contracts.failures import FailureCode
from pocket3d.contracts.input_files import as_uploads
from pocket3d.contracts.jobs import Rejection
from pocket3d.contracts.parameters import ParameterProblem

from ..auction.fleet import Fleet


class AdmissionVerdict(NamedTuple):
    """What the fleet's declared schemas say of a job."""

    #: Adapters that refuse it.
    unfit: tuple[str, ...] = ()
    #: Why it is not taken, if nobody takes it.
    rejection: Rejection | None = None


def judge(
    fleet: Fleet,
    canonical: str,
    preferred: tuple[str, ...] | None,
    inputs: Mapping[str, Any],
    *,
    commercial_only: bool = False,
) -> AdmissionVerdict:
    """Ask every schema of the feature's adapters (of the named ones, where the job names them), and for commercial use
    their licences.

    Nobody is asked for a feature that no present agent serves: then the agents judge when the job is awarded.
    """
    forbidden = fleet.all_forbid_commercial_use(canonical, preferred) if commercial_only else []
    if forbidden:
        return AdmissionVerdict(rejection=_forbids_commercial_use(canonical, forbidden))
    problems: dict[str, ParameterProblem] = {}
    inputs = as_uploads(inputs)
    fit = False
    for adapter_id, checks in fleet.checks_of(canonical).items():
        if preferred is not None and adapter_id not in preferred:
            continue
        # Hosts may have different versions of one adapter: it is out only where all of them refuse.
        found = [check.problem(inputs) if check is not None else None for check in checks]
        problem = next((each for each in found if each is not None), None)
        if problem is None or None in found:
            fit = True
        else:
            problems[adapter_id] = problem
    if fit or not problems:
        return AdmissionVerdict(tuple(sorted(problems)))
    return AdmissionVerdict(tuple(sorted(problems)), rejection_of(problems))


def rejection_of(problems: Mapping[str, ParameterProblem]) -> Rejection:
    """What the producer reads: the field at fault, and which adapter says so."""
    adapter_id = min(problems)
    field, message = problems[adapter_id]
    others = f"; no other adapter takes it either ({', '.join(sorted(problems))})" if len(problems) > 1 else ""
    return Rejection(FailureCode.INVALID_INPUT, field, f"{message} ({adapter_id}){others}")


def _forbids_commercial_use(canonical: str, forbidden: Sequence[str]) -> Rejection:
    return Rejection(
        FailureCode.INVALID_INPUT,
        "commercial_only",
        f"the licence of every known adapter that could take this {canonical} job forbids commercial use"
        f" ({', '.join(forbidden)}): name others, or leave commercial_only out",
    )
