"""Mutants are sampled, each is tried by the tests that execute its line, and what came of it is kept."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple

from mutants import baseline, import_mutant, mutations
from support.import_graph import ROOT, modules
from support.purity import deciding

#: Folders of tests that start processes and servers, or take minutes.
SLOW = (
    "e2e", "simulation", "models", "bench", "guide", "packaging", "bus_server", "docs", "examples", "mutants",
)  # fmt: skip
#: The same tests on a real server are left out: those on the bus in memory execute what decides as well.
_FAST = ("-m", "not e2e", "-k", "not jetstream")
#: Tests of one mutant, all together as long as they take without it, seconds; the quick ones come first.
_TESTS_S = 30.0
#: A mutant that is not done by then hangs.
_LIMIT_S = 60.0

Verdict = Literal["killed", "hung", "survived", "no test"]


class Sampled(NamedTuple):
    """One mutant of one module."""

    module: str
    component: str
    mutant: mutations.Mutant

    @property
    def place(self) -> str:
        """File and line."""
        return f"{modules()[self.module].path.relative_to(ROOT)}:{self.mutant.line}"

    @property
    def key(self) -> str:
        """The same for the same mutant of the same source."""
        return hashlib.sha256(f"{self.module}\n{self.mutant.line}\n{self.mutant.source}".encode()).hexdigest()[:16]


def _sampled() -> list[str]:
    """The modules that decide, without the invariants: those are assertions in functions, and decide nothing."""
    return sorted(name for name in deciding() if not name.endswith(".invariants"))


def sample(count: int, seed: int, names: Iterable[str] | None = None) -> list[Sampled]:
    """Mutants of so many lines, all lines being equally likely, one mutant each.

    Whether a line is among them depends on its own words: another change leaves the rest of the sample as it was.
    """
    ranked = []
    for name in _sampled() if names is None else names:
        text = modules()[name].path.read_text(encoding="utf-8")
        seen: Counter[str] = Counter()
        for line in mutations.mutable_lines(text):
            words = text.splitlines()[line - 1].strip()
            seen[words] += 1
            digest = hashlib.sha256(f"{seed}\n{name}\n{words}\n{seen[words]}".encode()).digest()
            ranked.append((digest, name, text, line))
    return [
        Sampled(name, modules()[name].component, random.Random(digest).choice(mutations.mutants(text, line)))
        for digest, name, text, line in sorted(ranked)[:count]
    ]


def fingerprint() -> str:
    """Of everything that a verdict depends on: the sources and the tests."""
    digest = hashlib.sha256()
    for path in sorted([*(m.path for m in modules().values()), *(ROOT / "tests").rglob("*.py")]):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def record_baseline(folder: Path, *, at_a_time: int = 2) -> baseline.Baseline:
    """Run the fast tests once, folder by folder, unless that was done for these very sources.

    Raises:
        RuntimeError: pytest could not run them.
    """
    print_of = fingerprint()
    with ThreadPoolExecutor(at_a_time) as pool:
        found = pool.map(
            lambda tests: _record(tests, folder / f"baseline-{print_of}-{_name(tests)}.json"), fast_folders()
        )
        return baseline.load(found)


def fast_folders() -> list[Path]:
    """Folders with tests directly in them: they are shared among processes."""
    tests = ROOT / "tests"
    found = {path.parent for path in tests.rglob("test_*.py")}
    return sorted(folder for folder in found if not set(folder.relative_to(tests).parts) & set(SLOW))


def _name(tests: Path) -> str:
    return "-".join(tests.relative_to(ROOT / "tests").parts)


def _record(tests: Path, path: Path) -> Path:
    if not path.exists():
        files = [str(each.relative_to(ROOT)) for each in sorted(tests.glob("test_*.py"))]
        arguments = ["-q", "-p", "mutants.baseline", "--no-header", *_FAST, *files]
        _, output = _pytest(arguments, path.parent, {baseline.FILE_VARIABLE: str(path)}, None)
        if not path.exists():
            raise RuntimeError(f"the baseline of {tests} was not written:\n{output[-4000:]}")
        print(f"measured {tests.relative_to(ROOT)}", flush=True)
    return path


def attempt(sampled: Sampled, known: baseline.Baseline, folder: Path) -> Verdict:
    """Try one mutant; stops at the first failure."""
    file = str(modules()[sampled.module].path)
    tests: list[str] = []
    seconds = 0.0
    for name in known.tests_of(file, sampled.mutant.line, at_import=sampled.mutant.at_import):
        seconds += known.durations[name]
        if seconds > _TESTS_S and tests:
            break
        tests.append(name)
    if not tests:
        return "no test"
    trial = folder / f"trial-{sampled.key}.json"
    trial.write_text(json.dumps(import_mutant.Trial(sampled.module, file, sampled.mutant.source, tests)._asdict()))
    files = sorted({name.partition("::")[0] for name in tests})
    try:
        code, output = _pytest(
            ["-q", "-x", "-p", "mutants.import_mutant", "--no-header", *files],
            folder,
            {import_mutant.FILE_VARIABLE: str(trial)},
            _LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        trial.unlink()
    if code == 0:
        return "survived"
    if code in (1, 2) or (code == 4 and "ImportError while loading conftest" in output):
        # A failure, or an error while the tests were collected.
        return "killed"
    raise RuntimeError(f"{sampled.place}: pytest ended with {code}:\n{output[-4000:]}")


def try_all(
    chosen: Iterable[Sampled], known: baseline.Baseline, folder: Path, *, at_a_time: int = 2
) -> Mapping[str, Verdict]:
    """Verdicts by key. What was tried before, of the same sources and tests, is not tried again."""
    path = folder / f"verdicts-{fingerprint()}.jsonl"
    verdicts: dict[str, Verdict] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            verdicts.update([json.loads(line)])
    left = [each for each in chosen if each.key not in verdicts]
    with ThreadPoolExecutor(at_a_time) as pool, path.open("a", encoding="utf-8") as kept:
        for each, verdict in zip(left, pool.map(lambda one: attempt(one, known, folder), left), strict=True):
            verdicts[each.key] = verdict
            kept.write(json.dumps([each.key, verdict]) + "\n")
            kept.flush()
            print(f"{verdict:9} {each.place}  {each.mutant.before}  ->  {each.mutant.after}", flush=True)
    return verdicts


def _pytest(arguments: list[str], folder: Path, variables: dict[str, str], limit_s: float | None) -> tuple[int, str]:
    environment = {
        **os.environ,
        **variables,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            # With what its tests started.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output
