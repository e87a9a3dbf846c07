"""Every link within the project leads somewhere, on GitHub as on the built pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.pages import ROOT, anchors, links, pages

PAGES = pages()


def test_there_are_pages() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "docs/wire.md", "docs/adr/0001-auction.md", "coordinator/README.md"} <= names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        if not there.is_relative_to(ROOT) or not there.exists():
            broken.append(f"{target}: no such file")
        elif anchor and (there.suffix != ".md" or anchor not in anchors(there)):
            broken.append(f"{target}: no such heading")
    assert not broken


def test_every_page_of_docs_can_be_reached_from_the_first() -> None:
    reached, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = [target.partition("#")[0] for target in links(page)]
        todo += [(page.parent / target).resolve() for target in targets if target and "://" not in target]
    written = {page for page in PAGES if page.is_relative_to(ROOT / "docs") and "components" not in page.parts}
    assert not {page.relative_to(ROOT).as_posix() for page in written - reached}
