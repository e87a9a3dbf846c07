"""docs/command-line.md has every command and every option, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from pocket3d.ops.cli import cli
from pocket3d.ops.exit_codes import Exit
from support.pages import ROOT, codes, first_cells, section

PAGE = ROOT / "docs" / "command-line.md"
#: Anchor of a shared section -> its heading.
SHARED = {
    "#connection-options": "Connection options",
    "#output-options": "Output options",
    "#log-options": "Log options",
}


def commands(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below, with its words."""
    if path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


COMMANDS = dict(commands())


def options_in(text: str) -> set[str]:
    return {code for code in codes(text) if re.fullmatch(r"--?[a-z][a-z-]*", code)}


@pytest.mark.parametrize("name", COMMANDS)
def test_its_options_are_on_the_page(name: str) -> None:
    text = section(PAGE, f"pocket3d {name}")
    own = {option for cell in first_cells(text) for option in options_in(cell)}
    for anchor, heading in SHARED.items():
        if anchor in text:
            own |= options_in(section(PAGE, heading))
    parameters = [each for each in COMMANDS[name].params if isinstance(each, click.Option) and not each.hidden]
    wanted = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    assert own == wanted - {"-h", "--help"}, f"docs/command-line.md, section {name!r}"


def test_there_are_no_commands_that_do_not_exist() -> None:
    headings = re.findall(r"^### pocket3d (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(COMMANDS)


def test_the_exit_codes_are_those_of_the_code() -> None:
    assert {int(cell) for cell in first_cells(section(PAGE, "Exit codes"))} == {int(code) for code in Exit}
