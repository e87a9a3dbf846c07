"""The pages that people read: README, docs, the folders' READMEs; their links and their fenced blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ("contracts", "bus", "gpu_agents", "adapters", "coordinator", "ops")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!\\)\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$", re.MULTILINE)


class Block(NamedTuple):
    """One fenced block."""

    page: Path
    line: int
    #: What stands behind the opening fence.
    info: str
    text: str

    @property
    def place(self) -> str:
        """For messages: file and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """All of them."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    found += [ROOT / component / "README.md" for component in COMPONENTS]
    return sorted(path for path in found if "_build" not in path.parts)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["info"].strip(), found["text"])
        for found in _FENCE.finditer(text)
    ]


def without_blocks(page: Path) -> str:
    """The page's text without its fenced blocks and code spans."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> list[str]:
    """Targets of the page's links and pictures, as written."""
    return [found["target"] for found in _LINK.finditer(without_blocks(page))]


def anchors(page: Path) -> set[str]:
    """What `#...` may name on a page, as GitHub and MyST make it from the headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in _HEADING.finditer(text):
        words = re.sub(r"[^\w\- ]", "", heading["text"].replace("`", "").lower()).strip()
        found.add(words.replace(" ", "-"))
    return found


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one of any level.

    Raises:
        LookupError: there is no such heading.
    """
    text = page.read_text(encoding="utf-8")
    found = re.search(rf"^#+ {re.escape(heading)}\n(?P<text>.*?)(?=^#+ |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{page.relative_to(ROOT)} has no section {heading!r}")
    return found["text"]


def first_cells(text: str) -> list[str]:
    """The first cell of each row of the tables in a text, headers left out."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", row)[1].strip() for row in rows]
    ruled = [at for at, row in enumerate(rows) if set(row) <= set("|- :")]
    skipped = {at for rule in ruled for at in (rule - 1, rule)}
    return [cell for at, cell in enumerate(cells) if at not in skipped]


def codes(text: str) -> list[str]:
    """The code spans of a text."""
    return re.findall(r"`([^`\n]+)`", text)


def permissions() -> dict[str, str]:
    """The operators' page's block of permissions for each role, by the user whose inbox it names."""
    page = ROOT / "docs" / "operating.md"
    text = section(page, "Who may do what")
    found = [block.text for block in blocks(page) if block.text in text and "publish:" in block.text]
    return {text.split("_INBOX_", 1)[1].split(".>", 1)[0]: text for text in found}
