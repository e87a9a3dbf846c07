"""The tool itself: what mutants it makes, that only the mutant's process sees it, and what it makes of an end."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from mutants import trials
from mutants.baseline import Baseline, load
from mutants.mutations import mutants
from support import import_graph
from support.import_graph import ROOT, modules

SOURCE = '''
from __future__ import annotations

LIMIT = 3


def decide(room: int | None = 5, *, sure: bool = True) -> int:
    """Returns 1."""
    if room is not None and room >= LIMIT:
        self.left -= 2
        return max(room, 1) + 1
    assert room != 7, "never"
    return 0 if not (sure) else len(f"{room:4}")
'''


def test_each_mutant_changes_one_line_in_one_place() -> None:
    found = {(each.before, each.after) for each in mutants(SOURCE)}
    head = "def decide(room: int | None = {}, *, sure: bool = {}) -> int:"
    test = "if room is not None and room >= LIMIT:"
    assert found == {
        ("LIMIT = 3", "LIMIT = 4"),
        (head.format(5, True), head.format(6, True)),
        (head.format(5, True), head.format(5, False)),
        (test, "if room is None and room >= LIMIT:"),
        (test, "if room is not None or room >= LIMIT:"),
        (test, "if room is not None and room > LIMIT:"),
        (test, "if not (room is not None and room >= LIMIT):"),
        ("self.left -= 2", "self.left -= 3"),
        ("self.left -= 2", "pass"),
        ("return max(room, 1) + 1", "return min(room, 1) + 1"),
        ("return max(room, 1) + 1", "return max(room, 2) + 1"),
        ("return max(room, 1) + 1", "return max(room, 1) - 1"),
        ("return max(room, 1) + 1", "return max(room, 1) + 2"),
        ('return 0 if not (sure) else len(f"{room:4}")', 'return 1 if not (sure) else len(f"{room:4}")'),
        ('return 0 if not (sure) else len(f"{room:4}")', 'return 0 if (sure) else len(f"{room:4}")'),
    }
    for each in mutants(SOURCE):
        ast.parse(each.source)
        changed = [a for a, b in zip(SOURCE.splitlines(), each.source.splitlines(), strict=True) if a != b]
        assert [line.strip() for line in changed] == [each.before]
        assert each.at_import == (each.before.startswith(("LIMIT", "def")))


def test_the_same_seed_samples_the_same_mutants_of_different_lines() -> None:
    first = trials.sample(30, seed=5)
    assert [each.key for each in first] == [each.key for each in trials.sample(30, seed=5)]
    assert [each.key for each in first] != [each.key for each in trials.sample(30, seed=6)]
    assert len({each.place for each in first}) == 30


def test_another_change_leaves_the_rest_of_the_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "pocket3d.contracts.size_classes"
    before = trials.sample(8, 5, [name])
    module = import_graph.modules()[name]
    longer = tmp_path / "longer.py"
    longer.write_text("FIRST = 1\n" + module.path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setitem(import_graph.modules(), name, module._replace(path=longer))
    after = trials.sample(8, 5, [name])
    words = {(each.mutant.before, each.mutant.after) for each in before}
    assert len(words & {(each.mutant.before, each.mutant.after) for each in after}) >= 7


def test_tests_of_a_line_come_quick_ones_first_and_an_import_belongs_to_all_of_its_module(tmp_path: Path) -> None:
    one = Baseline({"t::slow": 2.0, "t::quick": 0.1}, {"m.py": {"5": [0, 1]}})
    two = Baseline({"u::other": 0.5}, {"m.py": {"1": [0], "5": [0], "9": [0]}})
    paths = [tmp_path / "one", tmp_path / "two"]
    for path, part in zip(paths, (one, two), strict=True):
        path.write_text(json.dumps(part._asdict()))
    known = load(paths)
    assert known.tests_of("m.py", 5, at_import=False) == ["t::quick", "u::other", "t::slow"]
    assert known.tests_of("m.py", 9, at_import=False) == ["u::other"]
    assert known.tests_of("m.py", 1, at_import=True) == ["t::quick", "u::other", "t::slow"]
    assert known.tests_of("unknown.py", 1, at_import=True) == []


@pytest.fixture
def fit_tests() -> Baseline:
    """What the tests of `contracts.fit` would be measured to execute, for one of its lines."""
    tests = sorted((ROOT / "tests").rglob("test_fit.py"))[0].relative_to(ROOT)
    name = f"{tests}::test_what_just_fits_fits_and_one_more_mb_does_not"
    path = modules()["pocket3d.contracts.fit"].path
    lines = path.read_text().splitlines()
    return Baseline({name: 0.01}, {str(path): {str(n + 1): [0] for n, line in enumerate(lines) if "have" in line}})


def mutant_of_fit(after: str) -> trials.Sampled:
    module = modules()["pocket3d.contracts.fit"]
    made = next(each for each in mutants(module.path.read_text()) if each.after == after)
    return trials.Sampled(module.name, module.component, made)


def test_a_mutant_that_a_test_notices_is_killed_and_leaves_nothing_behind(fit_tests: Baseline, tmp_path: Path) -> None:
    before = modules()["pocket3d.contracts.fit"].path.read_bytes()
    noticed = mutant_of_fit("if need.vram_mb > 0 and need.vram_mb >= have:")
    assert trials.attempt(noticed, fit_tests, tmp_path) == "killed"
    assert modules()["pocket3d.contracts.fit"].path.read_bytes() == before
    assert not list(tmp_path.glob("trial-*"))


def test_one_that_no_test_notices_survives(fit_tests: Baseline, tmp_path: Path) -> None:
    unnoticed = mutant_of_fit("if need.vram_mb >= 0 and need.vram_mb > have:")
    assert trials.attempt(unnoticed, fit_tests, tmp_path) == "survived"
    assert trials.attempt(unnoticed, Baseline({}, {}), tmp_path) == "no test"


def test_the_module_as_it_is_survives_where_a_conftest_imports_it(tmp_path: Path) -> None:
    """Else every mutant of it would count as killed."""
    module = modules()["pocket3d.coordinator.auction.scoring"]
    tests = next((ROOT / "tests").rglob("test_planning.py")).relative_to(ROOT)
    known = Baseline({f"{tests}::test_best_fit_or_spread_among_equals": 0.1}, {str(module.path): {"1": [0]}})
    itself = mutants(module.path.read_text())[0]._replace(source=module.path.read_text())
    assert trials.attempt(trials.Sampled(module.name, module.component, itself), known, tmp_path) == "survived"


def test_what_was_tried_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trials, "fingerprint", lambda: "same")
    tried: list[str] = []

    def attempt(sampled: trials.Sampled, known: Baseline, folder: Path) -> trials.Verdict:
        tried.append(sampled.key)
        return "killed"

    monkeypatch.setattr(trials, "attempt", attempt)
    chosen = trials.sample(4, seed=1)
    trials.try_all(chosen[:3], Baseline({}, {}), tmp_path)
    verdicts = trials.try_all(chosen, Baseline({}, {}), tmp_path)
    assert sorted(tried) == sorted(each.key for each in chosen)
    assert set(verdicts.values()) == {"killed"}
    assert "killed" in capsys.readouterr().out


def test_a_folder_with_tests_and_folders_in_it_is_measured_itself() -> None:
    folders = trials.fast_folders()
    assert ROOT / "tests" / "mutants" not in folders
    measured = [path for folder in folders for path in folder.glob("test_*.py")]
    everywhere = list((ROOT / "tests").rglob("test_*.py"))
    slow = [path for path in everywhere if set(path.relative_to(ROOT / "tests").parts) & set(trials.SLOW)]
    assert sorted(measured) == sorted(set(everywhere) - set(slow))
