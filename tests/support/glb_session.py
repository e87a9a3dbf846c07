"""Khronos' glTF validator over all GLB files that adapters wrote in a session of tests: one run at its end.

Adapters' answers name their meshes alike (`BaseModel._create_common_response`), and so do downloads of them: files of
that name in the session's temporary folder are what the product wrote, in whichever process. Tests that make it write
broken ones on purpose are marked `broken_glb`. With pytest-xdist the processes tell which folder was which test's.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

#: What a path of an adapter's mesh ends with.
PATTERN = "generated_mesh_*.glb"
SCRIPT = Path(__file__).parents[1] / "gltf" / "validate.sh"
#: A larger file takes the validator seconds, and is made of the same as small ones.
MOST_BYTES = 2**21
#: All files together.
MOST_BYTES_TOGETHER = 2**26
_TIMEOUT_S = 240

#: From files to the lines that the validator's script prints.
Validate = Callable[[list[Path]], list[str]]


class Chosen(NamedTuple):
    """The files that are validated."""

    files: list[Path]
    #: How many are not, for their size or that of all.
    left_out: int


def chosen(files: Iterable[Path]) -> Chosen:
    """Equal files once, the smallest first, as far as the bounds go."""
    known: set[bytes] = set()
    taken: list[Path] = []
    left_out = together = 0
    for size, path in sorted((each.stat().st_size, each) for each in files):
        if size > MOST_BYTES or together + size > MOST_BYTES_TOGETHER:
            left_out += 1
            continue
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in known:
            known.add(digest)
            taken.append(path)
            together += size
    return Chosen(taken, left_out)


def validator(modules: Path) -> Validate:
    """The script, with a folder into which it installs the validator if it is not there."""

    def validate(files: list[Path]) -> list[str]:
        command = ["bash", str(SCRIPT), str(modules), *map(str, files)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        return [*ran.stdout.splitlines(), *ran.stderr.splitlines()]

    return validate


class GlbSession:
    """A plugin of pytest: notes whose folders are whose, and has their files validated at the end."""

    def __init__(self, validate: Validate) -> None:
        self._validate = validate
        #: The test of each folder right below the temporary one; None: what it writes is broken on purpose.
        self._tests: dict[str, str | None] = {}
        #: For the summary: a line, and one for each error.
        self.said: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: Any) -> None:
        folder = getattr(item, "funcargs", {}).get("tmp_path")
        if folder is not None:
            broken = item.get_closest_marker("broken_glb") is not None
            self._tests[str(folder)] = None if broken else item.nodeid

    def pytest_sessionfinish(self, session: Any) -> None:
        config = session.config
        if hasattr(config, "workeroutput"):
            config.workeroutput["glb_tests"] = self._tests
            return
        temporary = config._tmp_path_factory._basetemp
        if temporary is not None and not self.judge(temporary):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.heard(getattr(node, "workeroutput", {}).get("glb_tests", {}))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for each in self.said:
            terminalreporter.write_line(each)

    def heard(self, tests: Mapping[str, str | None]) -> None:
        """Take what another process of the session noted."""
        self._tests.update(tests)

    def judge(self, temporary: Path) -> bool:
        """Have the files below a folder validated; false if any has errors."""
        found = {path: test for path in temporary.rglob(PATTERN) if path.is_file() for test in self._test_of(path)}
        files, left_out = chosen(found)
        if not files:
            return True
        lines = self._validate(files)
        reports = [json.loads(line) for line in lines if line.startswith("{")]
        if len(reports) != len(files):
            self.said = [f"glTF validator: left out: {'; '.join(lines)[:500] or 'it said nothing'}"]
            # Without Node.js or npm that is no fault; a validator that ends in the middle is one.
            return not reports
        wrong = [each for each in reports if each["errors"]]
        errors = sum(each["errors"] for each in wrong)
        counts = f"{len(files)} files of {len(found)} that adapters wrote (equal ones once, {left_out} too large)"
        self.said = [f"glTF validator: {counts}, {errors} errors"]
        for each in wrong:
            told = "; ".join(each["messages"][:3])
            self.said.append(f"  {found[Path(each['file'])]}\n    wrote {each['file']}\n    {told}")
        return not wrong

    def _test_of(self, path: Path) -> Iterator[str]:
        """Whose file it is; nothing if that is broken on purpose."""
        for folder in path.parents:
            if str(folder) in self._tests:
                test = self._tests[str(folder)]
                if test is not None:
                    yield test
                return
        yield "a fixture of several tests"
