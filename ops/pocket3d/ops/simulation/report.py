"""Runs in words."""

from __future__ import annotations

from collections import Counter

from .rows import Row, all_rows
from .run import Outcome, Summary


def describe_failure(outcome: Outcome) -> str:
    """What went wrong in a run, its last faults, and how to repeat it."""
    wrong = "\n".join(f"  {each}" for each in outcome.wrong)
    story = "\n".join(f"  {line}" for line in outcome.story)
    return f"seed {outcome.seed} fails:\n{wrong}\nits story:\n{story}\nrepeat it: {outcome.repeat}"


def describe(summary: Summary) -> str:
    """Results, faults by the state of the jobs that they struck, and the tables' rows."""
    lines = [
        f"{summary.runs} seeds, {summary.jobs} jobs: {_pairs(summary.results)}; {len(summary.failed)} seeds failed",
        f"{summary.virtual_s / 3600:.1f} virtual hours in {summary.wall_s:.0f} s",
        f"faults: {_pairs(summary.faults)}",
        "faults and the states of the jobs that they struck:",
    ]
    kinds = sorted({kind for kind, _ in summary.struck})
    for kind in kinds:
        states = Counter({state: n for (k, state), n in summary.struck.items() if k == kind})
        lines.append(f"  {kind}: {_pairs(states)}")
    lines.append("rows of the tables:")
    for table, start, finish in sorted(all_rows()):
        lines.append(f"  {table}: {start} -> {finish}: {summary.rows[table, start, finish]}")
    missing = untaken(summary)
    lines.append(f"rows never taken: {', '.join(' '.join(row) for row in missing) or 'none'}")
    return "\n".join(lines)


def untaken(summary: Summary) -> list[Row]:
    """Rows of the tables that no run took."""
    return sorted(all_rows() - {row for row, count in summary.rows.items() if count})


def _pairs(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
