"""The README stays a first page: short, narrow, and its first screen says what it is, shows it, and runs it."""

from __future__ import annotations

from support.pages import ROOT, blocks, links

README = ROOT / "README.md"
LINES = README.read_text(encoding="utf-8").splitlines()


def test_it_is_at_most_100_lines_of_110_columns() -> None:
    assert len(LINES) <= 100
    assert not [line for line in LINES if len(line) > 110]


def test_the_first_screen_has_a_picture_and_the_two_commands() -> None:
    first_screen = "\n".join(LINES[:25])
    assert "](docs/demo.png)" in first_screen
    assert blocks(README)[0].text == "make demo\nmake test\n"
    assert "make demo\nmake test" in first_screen


def test_the_first_screen_says_what_is_needed_and_what_it_is_not() -> None:
    first_screen = " ".join("\n".join(LINES[:35]).split())
    for words in ("Linux", "Python 3.10 to 3.13", "GB of disk", "A GPU is not needed", "without weights, no AI models"):
        assert words in first_screen


def test_the_two_commands_are_the_only_ones_of_make_in_its_blocks() -> None:
    made = [line for block in blocks(README) for line in block.text.splitlines() if line.startswith("make ")]
    assert made == ["make demo", "make test"]


def test_it_leads_to_every_component() -> None:
    for component in ("contracts", "bus", "coordinator", "gpu_agents", "adapters", "ops"):
        assert f"{component}/README.md" in links(README)
