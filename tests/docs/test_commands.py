"""Every command on the pages exists: it is parsed against the command line, the Makefile and the modules, not run."""

from __future__ import annotations

import functools
import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest

from pocket3d.ops.cli import cli
from support.command_line import environment
from support.pages import ROOT, blocks, pages

#: Info strings of blocks that hold commands. A bare fence may hold them too, or pictures.
SHELLS = {"", "console", "sh", "bash", "shell"}
PROGRAM = re.compile(r"(?:\$ )?(?:\.venv/bin/)?(pocket3d|python|pytest|make) (.*)")
#: Commands in running text and in tables.
IN_TEXT = re.compile(r"`((?:pocket3d|make|(?:\.venv/bin/)?(?:pytest|python)) [^`\n]+)`")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

#: What pages write where a person writes something of their own -> something that may stand there.
PLACEHOLDERS = {"FILE": str(ROOT / "pyproject.toml"), "OLD.yaml": str(ROOT / "pyproject.toml"), "PORT": "4222"}


class Command(NamedTuple):
    """One command as a page has it."""

    place: str
    program: str
    words: list[str]
    #: False in running text, where a command may be named without its arguments.
    whole: bool


def commands() -> Iterator[Command]:
    """All commands of all pages, the changelog apart: it tells of former ones too."""
    for page in pages():
        if page.name == "CHANGELOG.md":
            continue
        for block in blocks(page):
            if block.info.split(" ")[0] in SHELLS:
                # A line that ends in a backslash goes on in the next.
                for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
                    yield from one_line(block.place, line, whole=True)
        for code in IN_TEXT.findall(page.read_text(encoding="utf-8")):
            yield from one_line(page.relative_to(ROOT).as_posix(), code, whole=False)


def one_line(place: str, line: str, *, whole: bool) -> Iterator[Command]:
    """The command in a line, if there is one of the programs in question."""
    inner = re.search(r"\$\((pocket3d [^)]*)\)", line)
    found = PROGRAM.match(inner[1] if inner else line.strip())
    if found is None or not found[2].isascii():  # a picture of processes, not a command
        return
    words = shlex.split(found[2], comments=True)
    if ">" in words:
        words = words[: words.index(">")]
    plain = [word.removesuffix("...").strip("[]") for word in words]
    yield Command(place, found[1], [PLACEHOLDERS.get(word, word) for word in plain], whole)


COMMANDS = list(commands())


def of(*programs: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "command",
        [each for each in COMMANDS if each.program in programs],
        ids=lambda each: f"{each.place} {' '.join(each.words)}"[:90],
    )


def parse(command: click.Command, name: str, words: list[str], parent: click.Context | None = None) -> None:
    """As the command line does, without running anything.

    Raises:
        click.UsageError: no such command or option, or a value that it does not take.
    """
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command, info_name=name, parent=parent)
        _, below, arguments = command.resolve_command(context, list(words))
        assert below is not None
        parse(below, words[0], arguments, context)
    else:
        command.make_context(name, list(words), parent=parent)


def test_there_are_commands() -> None:
    assert len([each for each in COMMANDS if each.program == "pocket3d"]) > 40


@of("pocket3d")
def test_a_command_of_ours_is_one(command: Command) -> None:
    if command.words in (["COMMAND", "--help"], ["--version"]):
        return
    try:
        parse(cli, "pocket3d", command.words)
    except click.MissingParameter:
        assert not command.whole, command
    except click.UsageError as error:
        pytest.fail(f"{command.place}: pocket3d {' '.join(command.words)}: {error.format_message()}")


@of("make")
def test_a_target_of_make_is_one(command: Command) -> None:
    target = command.words[0]
    assert re.search(rf"^{re.escape(target)}:", MAKEFILE, re.MULTILINE), f"{command.place}: no target {target}"


@functools.cache
def help_of(module: str) -> str:
    """What `python -m module --help` prints."""
    asked = [sys.executable, "-m", module, "--help"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=60, env=environment(), check=True).stdout


@of("python", "pytest")
def test_a_module_or_script_is_one(command: Command) -> None:
    words = command.words
    if words[:1] == ["-m"] and words[1].startswith("pocket3d"):
        assert importlib.util.find_spec(words[1]) is not None, f"{command.place}: no module {words[1]}"
        known = set(re.findall(r"--[a-z][a-z-]*", help_of(words[1])))
        assert {word for word in words if word.startswith("--")} <= known, command
    for word in words:
        if word.startswith(("tests/", "examples/")):
            assert (ROOT / word.split("::")[0]).exists(), f"{command.place}: no {word}"


@of("python", "pytest")
def test_a_name_that_selects_tests_selects_some(command: Command) -> None:
    if "-k" not in command.words:
        return
    name = command.words[command.words.index("-k") + 1]
    paths = [ROOT / word for word in command.words if word.startswith("tests/")]
    files = [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("test_*.py")))]
    defined = [(file.name, test) for file in files for test in re.findall(r"def (test_\w+)", file.read_text("utf-8"))]
    assert any(name in file or name in test for file, test in defined), f"{command.place}: -k {name} selects nothing"


def test_files_that_running_text_names_are_there() -> None:
    """`tests/bus`, `docs/wire.md`, `contracts/schema` and their like, in code spans."""
    roots = "contracts|bus|coordinator|gpu_agents|adapters|ops|tests|examples|docs"
    missing = []
    for page in pages():
        if page.name == "CHANGELOG.md":
            continue
        for name in re.findall(rf"`((?:{roots})/[\w./-]+)`", page.read_text(encoding="utf-8")):
            there = [ROOT / name, ROOT / name.split("/")[0] / "pocket3d" / name]
            if not any(path.exists() for path in there):
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert not missing


def test_who_reads_stored_results_names_their_stream() -> None:
    """No stream takes the subject under which they are stored, so the CLI would find none by it."""
    found = [
        (page.name, line)
        for page in pages()
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.search(r"nats sub .*(p3d\.results|SUBJECT).* --all", line)
    ]
    assert len(found) >= 4
    assert [each for each in found if "--stream P3D_RESULTS" not in each[1]] == []


def test_pages_install_from_the_checkout() -> None:
    """No index has the package, so `pip install pocket3d-studio` would find nothing, or somebody else's."""
    command = re.compile(r"pip install [^`\n]*pocket3d-studio")
    assert [page.name for page in pages() if command.search(page.read_text(encoding="utf-8"))] == []
